// How much is under way on each instance, and which backends are used: counted where requests are decided and where their ends are told.

import type { Snapshot } from '../directory/snapshot.ts';
import type { FinishedRequest } from '../envoy/access-log.ts';
import type { AuthorizeDependencies } from '../gateway/authorize.ts';

/** Since the process started, but for what is gone. Any sidecar may be told of an end: only sums over all of them mean something. */
export interface UseCounts {
  /** Calls (every request but the GET of an event stream) that were sent, and that have ended; milliseconds since the last of either. */
  readonly instances: Readonly<Record<string, { readonly begun: number; readonly ended: number; readonly idleMs: number }>>;
  readonly backends: Readonly<Record<string, { readonly requests: number; readonly idleMs: number }>>;
}

interface Tally {
  begun: number;
  ended: number;
  at: number;
}

/** No pod is given longer to end. */
const KEPT_MS = 3_600_000;

export interface UseCounter {
  readonly decided: NonNullable<AuthorizeDependencies['audit']>;
  finished(finished: FinishedRequest): void;
  /** Forgets what is long gone. */
  counts(snapshot: Snapshot): UseCounts;
}

export function createUseCounter(now: () => number = () => performance.now()): UseCounter {
  const instances = new Map<string, Tally>();
  const backends = new Map<string, { requests: number; at: number }>();
  const tallyOf = (instance: string): Tally => {
    const known = instances.get(instance) ?? { begun: 0, ended: 0, at: 0 };
    instances.set(instance, known);
    known.at = now();
    return known;
  };

  return {
    decided({ method, gone }, decision) {
      const { backend, instance } = decision.facts;
      if (backend !== undefined) {
        const known = backends.get(backend) ?? { requests: 0, at: 0 };
        backends.set(backend, known);
        known.requests += 1;
        known.at = now();
      }
      // Nothing is sent, and no end told, for a client that went while its request was judged.
      if (decision.kind === 'forward' && instance !== undefined && method !== 'GET' && !gone) tallyOf(instance).begun += 1;
    },
    finished({ interim, httpMethod, facts, details }) {
      const { backend, instance } = facts;
      if (interim || httpMethod === 'GET') return;
      const known = backend === undefined ? undefined : backends.get(backend);
      if (known) known.at = now();
      // What the Check answered itself was not sent anywhere.
      if (instance !== undefined && !details.startsWith('ext_authz')) tallyOf(instance).ended += 1;
    },
    counts(snapshot) {
      const present = new Set<string>();
      for (const { instances: all } of snapshot.backends.values()) for (const { id } of all) present.add(id);
      // What is under way on an instance that is no longer sent anything still counts.
      for (const [id, { begun, at }] of instances) if (!present.has(id) && (begun === 0 || now() - at > KEPT_MS)) instances.delete(id);
      for (const name of [...backends.keys()]) if (!snapshot.backends.has(name as never)) backends.delete(name);
      const at = now();
      return {
        instances: Object.fromEntries([...instances].map(([id, { begun, ended, at: last }]) => [id, { begun, ended, idleMs: at - last }])),
        backends: Object.fromEntries([...backends].map(([name, { requests, at: last }]) => [name, { requests, idleMs: at - last }])),
      };
    },
  };
}

/** The sums over all sidecars of one supervisor. `calls` is never below zero: an end may be told before its beginning is counted. */
export function summed(all: readonly UseCounts[]): {
  readonly instances: ReadonlyMap<string, { readonly calls: number; readonly idleMs: number }>;
  readonly backends: ReadonlyMap<string, { readonly requests: number; readonly idleMs: number }>;
} {
  const instances = new Map<string, { begun: number; ended: number; idleMs: number }>();
  const backends = new Map<string, { requests: number; idleMs: number }>();
  for (const counts of all) {
    for (const [id, { begun, ended, idleMs }] of Object.entries(counts.instances)) {
      const sum = instances.get(id) ?? { begun: 0, ended: 0, idleMs: Number.POSITIVE_INFINITY };
      instances.set(id, { begun: sum.begun + begun, ended: sum.ended + ended, idleMs: Math.min(sum.idleMs, idleMs) });
    }
    for (const [name, { requests, idleMs }] of Object.entries(counts.backends)) {
      const sum = backends.get(name) ?? { requests: 0, idleMs: Number.POSITIVE_INFINITY };
      backends.set(name, { requests: sum.requests + requests, idleMs: Math.min(sum.idleMs, idleMs) });
    }
  }
  const calls = [...instances].map(
    ([id, { begun, ended, idleMs }]) => [id, { calls: Math.max(0, begun - ended), idleMs: Math.round(idleMs) }] as const,
  );
  return { instances: new Map(calls), backends };
}
