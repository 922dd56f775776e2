// How many pods a backend shall have now: none while nobody uses it, more while many do, and as declared otherwise.

import type { BackendResource } from '../../../config/resources.ts';
import type { KubeObject } from '../objects.ts';
import type { UseBoard } from './use-board.ts';

/** On an MCPBackend, RFC 3339: when somebody waited for it last. Written by whichever controller is asked. */
export const WAKE_ANNOTATION = 'mcpgateway.dev/wake';
/** Fewer pods only when so long no more were needed: a pod that goes takes sessions with it. */
const STABLE_MS = 300_000;
const MAX_REMEMBERED = 10_000;

export interface Seen {
  readonly object: KubeObject;
  /** Pods that run or start. */
  readonly running: number;
  /** Sessions on them. */
  readonly sessions: number;
  /** Calls under way on them. */
  readonly calls: number;
}

export interface Scaler {
  wanted(backend: BackendResource, seen: Seen): number;
}

export interface ScalerOptions {
  readonly board: Pick<UseBoard, 'backend' | 'isWarm' | 'isHeard'>;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export function createScaler({ board, now = Date.now }: ScalerOptions): Scaler {
  const startedAt = now();
  /** The most that was needed lately, and until when that counts. */
  const peaks = new Map<string, { replicas: number; until: number }>();

  const isUnused = ({ name, spec }: BackendResource, { object, running, sessions, calls }: Seen): boolean => {
    const { toZeroAfter } = spec.scaling;
    if (toZeroAfter === undefined || sessions > 0 || calls > 0) return false;
    const at = now();
    const since = (time: string | undefined): number => (time === undefined ? Number.POSITIVE_INFINITY : at - Date.parse(time));
    // While it starts nobody can use it.
    const begun = Math.min(since(object.metadata.annotations?.[WAKE_ANNOTATION]), since(object.metadata.creationTimestamp));
    const idleMs = Math.min(begun - spec.scaling.startTimeout, board.backend(name).idleMs);
    // What is gone comes back by being asked for, not because a new leader does not know when it was used.
    if (running === 0) return idleMs >= toZeroAfter;
    // Without gateways nobody knows whether it is used.
    return board.isWarm() && board.isHeard() && Math.min(idleMs, at - startedAt) >= toZeroAfter;
  };

  const needed = ({ name, spec }: BackendResource, { sessions }: Seen): number => {
    const { sessionsPerReplica, requestsPerReplica, max } = spec.scaling;
    if (max === undefined || max <= spec.replicas) return spec.replicas;
    const bySessions = sessionsPerReplica === undefined ? 0 : Math.ceil(sessions / sessionsPerReplica);
    const byRequests = requestsPerReplica === undefined ? 0 : Math.ceil(board.backend(name).requestsPerSecond / requestsPerReplica);
    return Math.min(max, Math.max(spec.replicas, bySessions, byRequests));
  };

  return {
    wanted(backend, seen) {
      if (backend.spec.replicas === 0 || isUnused(backend, seen)) {
        peaks.delete(backend.name);
        return 0;
      }
      const replicas = needed(backend, seen);
      // A leader that has not heard of the sessions yet keeps what there is.
      if (!board.isWarm() && backend.spec.scaling.max !== undefined) {
        return Math.min(backend.spec.scaling.max, Math.max(replicas, seen.running));
      }
      const peak = peaks.get(backend.name);
      if (peak && replicas < peak.replicas && now() < peak.until) return Math.min(peak.replicas, backend.spec.scaling.max ?? replicas);
      if (peaks.size > MAX_REMEMBERED) peaks.clear();
      peaks.set(backend.name, { replicas, until: now() + STABLE_MS });
      return replicas;
    },
  };
}
