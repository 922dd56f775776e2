// Holding requests: waiting for an instance of a backend, bounded per backend and per caller.

import type { BackendName } from '../core/ids.ts';
import { limited } from '../core/within.ts';
import type { Directory } from '../directory/directory.ts';
import type { Backend, Instance } from '../directory/snapshot.ts';
import { localCaller } from '../identity/principal.ts';

/** Clients give up at 60 s; the answer must be there before. */
const MAX_WAIT_MS = 50_000;
const MAX_WAITING_PER_BACKEND = 100;
const MAX_WAITING_PER_CALLER = 10;

export interface Parking {
  /** Resolves with the backend as soon as an instance is ready. Rejects with the signal's reason when the client goes. */
  wait(
    backend: BackendName,
    startTimeoutMs: number,
    caller: string | undefined,
    signal: AbortSignal,
  ): Promise<Backend | 'no_instance' | 'too_many_waiting'>;
}

/** Who a waiting request counts for. Undefined where all callers are one (local mode): the limit per caller would be the only one. */
export function parkedAs({ issuer, subject }: { readonly issuer: string; readonly subject: string }): string | undefined {
  return issuer === localCaller.issuer ? undefined : `${issuer}\n${subject}`;
}

/** `onWanted` is told of a backend that somebody begins to wait for. */
export function createParking(directory: Directory, onWanted: (backend: BackendName) => void = () => {}): Parking {
  const perBackend = new Map<string, number>();
  const perCaller = new Map<string, number>();

  return {
    async wait(name, startTimeoutMs, caller, signal) {
      const now = directory.snapshot().backends.get(name);
      // Who need not wait is not counted among those who wait.
      if (now?.instances.some(isReady)) return now;
      if ((perBackend.get(name) ?? 0) >= MAX_WAITING_PER_BACKEND) return 'too_many_waiting';
      if (caller !== undefined && (perCaller.get(caller) ?? 0) >= MAX_WAITING_PER_CALLER) return 'too_many_waiting';
      if (!perBackend.has(name)) onWanted(name);
      add(perBackend, name, 1);
      if (caller !== undefined) add(perCaller, caller, 1);
      const waiting = limited(signal, Math.min(startTimeoutMs, MAX_WAIT_MS));
      try {
        const snapshot = await directory.waitFor(name, isReady, waiting);
        return snapshot.backends.get(name) ?? 'no_instance';
      } catch (error) {
        if (waiting.aborted && !signal.aborted) return 'no_instance';
        throw error;
      } finally {
        add(perBackend, name, -1);
        if (caller !== undefined) add(perCaller, caller, -1);
      }
    },
  };
}

function isReady({ state }: Instance): boolean {
  return state === 'ready';
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const next = (counts.get(key) ?? 0) + by;
  if (next > 0) counts.set(key, next);
  else counts.delete(key);
}
