// Which pod of a backend goes first when there are to be fewer: the one with the fewest sessions, told to the cluster by an annotation.

import type { Logger } from 'pino';
import type { KubeApi } from '../api.ts';
import { instanceIdOf } from '../instances.ts';
import { keyOf, PODS } from '../objects.ts';
import { STATEFUL_SETS } from './kinds.ts';
import { type BackendPod, isStaying } from './observed.ts';
import { controllerOf } from './owned-objects.ts';

export const DELETION_COST = 'controller.kubernetes.io/pod-deletion-cost';
/** Of one pod, however its sessions change; only when pods are about to go it is written in any case. */
const INTERVAL_MS = 10_000;
/** The annotation is an int32. */
const MAX_COST = 2 ** 31 - 1;
const MAX_REMEMBERED = 20_000;

interface CostChange {
  readonly pod: BackendPod;
  readonly cost: number;
}

/** What has to be written so that the pods go in the right order; nothing while the order is right, whatever the numbers are. */
export function costChanges(pods: readonly BackendPod[], sessionsOf: (pod: BackendPod) => number): readonly CostChange[] {
  const staying = pods
    .filter((pod) => isStaying(pod) && controllerOf(pod)?.kind !== STATEFUL_SETS.kind)
    .map((pod) => ({ pod, written: costOf(pod), cost: Math.min(MAX_COST, Math.max(0, Math.floor(sessionsOf(pod)))) }))
    .toSorted((a, b) => a.cost - b.cost);
  return inOrder(staying) ? [] : staying.filter(({ written, cost }) => written !== cost);
}

/** Sorted by cost. Each group of equal costs has to be written strictly below the next one. */
function inOrder(sorted: readonly { readonly written: number; readonly cost: number }[]): boolean {
  let highestBelow = Number.NEGATIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  let cost = Number.NEGATIVE_INFINITY;
  for (const each of sorted) {
    if (each.cost > cost) highestBelow = highest;
    cost = each.cost;
    if (each.written <= highestBelow) return false;
    highest = Math.max(highest, each.written);
  }
  return true;
}

/** Absent counts as 0, as in the cluster. */
function costOf({ metadata }: BackendPod): number {
  const cost = Number(metadata.annotations?.[DELETION_COST] ?? '0');
  return Number.isInteger(cost) ? cost : 0;
}

export interface DeletionCosts {
  /** `urgent`: pods are about to go. Never rejects: without it pods go in another order. */
  update(pods: readonly BackendPod[], signal: AbortSignal, options?: { readonly urgent?: boolean }): Promise<void>;
}

export interface DeletionCostsOptions {
  readonly api: Pick<KubeApi, 'patch'>;
  readonly sessionsOn: (instances: readonly string[]) => number;
  readonly log: Logger;
}

export function createDeletionCosts({ api, sessionsOn, log }: DeletionCostsOptions): DeletionCosts {
  const writtenAt = new Map<string, number>();
  return {
    async update(pods, signal, { urgent = false } = {}) {
      for (const { pod, cost } of costChanges(pods, (each) => sessionsOn([instanceIdOf(each)]))) {
        const id = pod.metadata.uid ?? keyOf(pod);
        const now = performance.now();
        if (!urgent && now - (writtenAt.get(id) ?? Number.NEGATIVE_INFINITY) < INTERVAL_MS) continue;
        if (writtenAt.size >= MAX_REMEMBERED) writtenAt.clear();
        writtenAt.set(id, now);
        const { name, namespace, uid } = pod.metadata;
        try {
          const metadata = { ...(uid !== undefined && { uid }), annotations: { [DELETION_COST]: String(cost) } };
          await api.patch(PODS, name, namespace, { metadata }, signal);
        } catch (error) {
          if (signal.aborted) return;
          log.debug({ err: error, pod: name }, 'deletion cost not written');
        }
      }
    },
  };
}
