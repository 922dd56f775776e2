// Resources as the API server of Kubernetes returns them: what was declared, apart from what the API server keeps about it.

import { CREATED_BY, parseResource, type Resource, type ResourceProblem } from './resources.ts';

/** Where such a resource is declared, in place of a file. */
const SOURCE = 'kubernetes';
export const EXEC_REFUSED = 'exec: runs a program of the machine, which a cluster does not have: use npm:…, pypi:… or a container image';

/** One object: what it says, or every problem it has, and what the API server says of it. */
export interface KubernetesObject {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  /** Counts changes of `spec`; `status.observedGeneration` refers to it. */
  readonly generation: number;
  readonly resourceVersion: string;
  /** Whether it is on its way out, and only waits for finalizers. */
  readonly deleting: boolean;
  readonly parsed: Resource | readonly ResourceProblem[];
}

interface Metadata {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly generation?: number;
  readonly resourceVersion?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * Reads an object from the API server. `spec` and the name are judged as in a file – the definition of the custom resource may be older than
 * this gateway, or looser –; fields of `metadata` that only the API server writes, and `status`, are not looked at.
 * Whoever may write to the namespace counts as the owner of a file; `origin` is `api` for what the control plane registered for somebody.
 */
export function readKubernetesObject(object: Readonly<Record<string, unknown>> & { readonly metadata: Metadata }): KubernetesObject {
  const { apiVersion, kind, metadata, spec } = object;
  const { name = '', namespace = '', uid = '', generation = 0, resourceVersion = '', deletionTimestamp, labels, annotations } = metadata;
  const declared = {
    apiVersion,
    kind,
    metadata: { name, namespace, ...(labels && { labels }), ...(annotations && { annotations }) },
    spec,
  };
  const parsed = parseResource(declared, { file: SOURCE, label: name });
  return {
    ...{ name, namespace, uid, generation, resourceVersion },
    deleting: deletionTimestamp !== undefined,
    parsed: 'kind' in parsed ? (clusterProblem(parsed) ?? withOrigin(parsed, annotations?.[CREATED_BY])) : parsed,
  };
}

/** What is fine on a laptop alone. */
function clusterProblem(resource: Resource): readonly ResourceProblem[] | undefined {
  if (resource.kind !== 'MCPBackend' || resource.spec.image?.kind !== 'exec') return undefined;
  return [{ file: SOURCE, resource: `${resource.kind}/${resource.name}`, path: 'spec.image', message: EXEC_REFUSED }];
}

function withOrigin(resource: Resource, creator: string | undefined): Resource {
  return { ...resource, origin: creator === undefined ? 'file' : 'api' };
}
