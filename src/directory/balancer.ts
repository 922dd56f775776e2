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
  let turn = Math.floor(Math.random() * 1_000);

  const suspected = (instance: Instance): boolean => {
    const since = suspects.get(instance.id);
    if (since === undefined) return false;
    if (now() - since < SUSPECT_MS) return true;
    suspects.delete(instance.id);
    return false;
  };

  const sessionLoad = ({ id }: Instance): number => (sessions.get(id) ?? 0) + (pending.get(id) ?? 0);

  /**
   * Counts of instances that take part in every turn differ by one. Whoever is further behind was not there (it is new, was
   * suspected, or not ready), and must not be flooded until it has caught up.
   */
  const levelLatecomers = (candidates: readonly Instance[]): void => {
    const most = candidates.reduce((count, { id }) => Math.max(count, requests.get(id) ?? 0), 0);
    for (const { id } of candidates) if ((requests.get(id) ?? -1) < most - 1) requests.set(id, Math.max(most - 1, 0));
  };

  return {
    pick(backend, forSession, avoid) {
      const ready = backend.instances.filter((instance) => instance.state === 'ready');
      if (ready.length === 0) return undefined;
      const preferred = ready.filter((instance) => instance.id !== avoid && !suspected(instance));
      const untried = preferred.length > 0 ? preferred : ready.filter((instance) => instance.id !== avoid);
      const candidates = untried.length > 0 ? untried : ready;
      if (!forSession) levelLatecomers(candidates);
      // Ties go round, so that sidecars that know the same do not all choose the same.
      turn = (turn + 1) % candidates.length;
      let best = candidates[turn] as Instance;
      let least = Number.POSITIVE_INFINITY;
      for (let step = 0; step < candidates.length; step += 1) {
        const candidate = candidates[(turn + step) % candidates.length] as Instance;
        const load = forSession ? sessionLoad(candidate) : (requests.get(candidate.id) ?? 0);
        if (load < least) {
          best = candidate;
          least = load;
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
