// A new version of the gateway alone replaces no server: its drain agents follow when their pods are replaced anyway.

import type { KubeObject } from '../objects.ts';
import { DRAIN_CONTAINER } from './pod-template.ts';
import { TEMPLATE_ANNOTATION } from './workload.ts';

interface WithTemplate extends KubeObject {
  readonly spec?: {
    readonly template?: {
      readonly spec?: { readonly initContainers?: readonly { readonly name: string; readonly image?: string }[] };
    };
  };
  readonly status?: { readonly replicas?: number };
}

/** The image of the drain agents of a workload that has pods; undefined: they may have the newest one. */
export function runnerImageOf(workload: KubeObject | undefined): string | undefined {
  const { spec, status } = (workload ?? {}) as Partial<WithTemplate>;
  if ((status?.replicas ?? 0) === 0) return undefined;
  return spec?.template?.spec?.initContainers?.find(({ name }) => name === DRAIN_CONTAINER)?.image;
}

/** Whether the pods of both are the same. */
export function sameTemplate(wanted: KubeObject, workload: KubeObject): boolean {
  const [a, b] = [wanted, workload].map(({ metadata }) => metadata.annotations?.[TEMPLATE_ANNOTATION]);
  return a !== undefined && a === b;
}
