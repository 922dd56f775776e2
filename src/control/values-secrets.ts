// Which Secrets a backend needs on a cluster: what it refers to, and what was given as plain text and must not be written down.

import type { SpecText } from '../config/resource-text.ts';
import type { BackendResource } from '../config/resources.ts';

/** One Secret with its keys, and where it has to be. */
export interface NeededSecret {
  readonly namespace: string;
  readonly name: string;
  readonly keys: readonly string[];
  /** Makes it, once the values stand in the places of `…`. */
  readonly command: string;
}

type Reference = { readonly name: string; readonly key: string };

export interface BackendSecrets {
  /** The spec with references in place of values. */
  readonly spec: SpecText;
  /** Of its variables: for the server's pods. */
  readonly env: readonly Reference[];
  /** Names of variables whose values are left out. */
  readonly replaced: readonly string[];
  /** Of `upstreamAuth`: for the gateway's pods. */
  readonly upstream: readonly Reference[];
}

/** Refers to nothing but other variables, such as `$(PORT)`: no secret, and a Secret would not expand it. */
const ONLY_REFERENCES = /^(\$\([A-Za-z_][A-Za-z0-9_]*\)|[:./])+$/;

/** @param text the spec as somebody would write it. */
export function withoutValues({ name, spec }: BackendResource, text: SpecText): BackendSecrets {
  const replaced: string[] = [];
  const env = spec.env.map((variable) => {
    if (variable.valueFrom !== undefined || ONLY_REFERENCES.test(variable.value ?? '')) return variable;
    replaced.push(variable.name);
    return { name: variable.name, valueFrom: { secretKeyRef: { name: name as string, key: variable.name } } };
  });
  const { upstreamAuth } = spec;
  const variable = upstreamAuth?.valueFrom.env;
  const upstream = upstreamAuth?.valueFrom.secretKeyRef ?? (variable === undefined ? undefined : { name: name as string, key: variable });
  return {
    spec: {
      ...text,
      ...(env.length > 0 && { env }),
      ...(upstreamAuth && { upstreamAuth: { ...(text['upstreamAuth'] as object), valueFrom: { secretKeyRef: upstream } } }),
    },
    env: env.flatMap(({ valueFrom }) => (valueFrom === undefined ? [] : [valueFrom.secretKeyRef])),
    replaced,
    upstream: upstream === undefined ? [] : [upstream],
  };
}

/** One entry for each Secret, whoever refers to it. */
export function neededSecrets(namespace: string, references: readonly Reference[]): NeededSecret[] {
  const keysOf = new Map<string, Set<string>>();
  for (const { name, key } of references) keysOf.set(name, (keysOf.get(name) ?? new Set()).add(key));
  return [...keysOf].map(([name, set]) => {
    const keys = [...set];
    const literals = keys.map((key) => `--from-literal=${key}='…'`).join(' ');
    return { namespace, name, keys, command: `kubectl create secret generic ${name} --namespace ${namespace} ${literals}` };
  });
}
