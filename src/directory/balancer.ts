// Which instance gets new work: the one with the fewest sessions, or for stateless requests the one that was picked least.

import type { InstanceId } from '../core/ids.ts';
import type { Backend, Instance } from './snapshot.ts';

/** An instance that refused a connection is avoided for so long, unless there is no other. */
const SUSPECT_MS = 2_000;

export interface Balancer {
  /** Undefined when no instance is ready. `avoid` is taken only when nothing else is ready. */
  pick(backend: Backend, forSession: boolean, avoid?: InstanceId): Instance | undefined;
  /** Session counts as the store knows them: they replace what was counted here since the last report. */
  report(counts: ReadonlyMap<InstanceId, number>): void;
  /** The instance refused a connection. */
  suspect(instance: InstanceId): void;
}

export function createBalancer(now: () => number = Date.now): Balancer {
  let sessions: ReadonlyMap<InstanceId, number> = new Map();
  // Picks of this process since the last report (sessions) or since the instance was first seen (requests).
  const pending = new Map<InstanceId, number>();
  const requests = new Map<InstanceId, number>();
  const suspects = new Map<InstanceId, number>();

  const suspected = (instance: Instance): boolean => {
    const since = suspects.get(instance.id);
    if (since === undefined) return false;
    if (now() - since < SUSPECT_MS) return true;
    suspects.delete(instance.id);
    return false;
  };

  const load = (instance: Instance, forSession: boolean, floor: number): number => {
    if (forSession) return (sessions.get(instance.id) ?? 0) + (pending.get(instance.id) ?? 0);
    return Math.max(requests.get(instance.id) ?? 0, floor);
  };

  return {
    pick(backend, forSession, avoid) {
      const ready = backend.instances.filter((instance) => instance.state === 'ready');
      if (ready.length === 0) return undefined;
      const preferred = ready.filter((instance) => instance.id !== avoid && !suspected(instance));
      const candidates = preferred.length > 0 ? preferred : ready;
      // A new instance starts level with the least used one: it must not be flooded until it has caught up.
      const known = candidates.map((instance) => requests.get(instance.id)).filter((count) => count !== undefined);
      const floor = known.length > 0 ? Math.min(...known) : 0;
      let best = candidates[0] as Instance;
      let least = Number.POSITIVE_INFINITY;
      for (const candidate of candidates) {
        const candidateLoad = load(candidate, forSession, floor);
        if (candidateLoad < least) {
          best = candidate;
          least = candidateLoad;
        }
      }
      if (forSession) pending.set(best.id, (pending.get(best.id) ?? 0) + 1);
      else requests.set(best.id, least + 1);
      return best;
    },
    report(counts) {
      sessions = counts;
      pending.clear();
      if (requests.size > 10_000) requests.clear();
    },
    suspect(instance) {
      suspects.set(instance, now());
      if (suspects.size > 1_000) suspects.clear();
    },
  };
}
