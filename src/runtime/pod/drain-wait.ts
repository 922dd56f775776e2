// How long a pod that has to go is held: until its sessions are done, or there is no point in waiting any longer.

import { setTimeout as delay } from 'node:timers/promises';
import type { DrainAnswer } from './controller-question.ts';

/** Options so that tests need not wait for them. */
export interface DrainTiming {
  readonly intervalMs: number;
  /**
   * So long nobody may be able to say anything. Only while somebody counts the sessions is there something to wait for: when the whole
   * gateway is being removed, pods would otherwise stay for their full grace period, and its controller cannot come back to free them.
   * A controller that is replaced or elects another leader is back within seconds; what is lost after a minute without one is what a
   * pod's crash loses, and sessions recover from it.
   */
  readonly unreachableMs: number;
  /** What is left of the grace period for the server's own end. */
  readonly reserveMs: number;
}

export const DRAIN_TIMING: DrainTiming = { intervalMs: 2000, unreachableMs: 60_000, reserveMs: 10_000 };

/** Why the pod may go. */
export type DrainEnd = 'sessions are done' | 'the grace period is over' | 'the controller could not be reached';

/**
 * A function that waits; all its callers share one wait, which begins with the first of them (the kubelet asks again when it has been
 * restarted). Never rejects. `tell` gets a line when something changes.
 */
export function createDrainWait(options: {
  ask: (signal: AbortSignal) => Promise<DrainAnswer>;
  graceMs: number;
  timing?: DrainTiming;
  tell: (line: string) => void;
}): () => Promise<DrainEnd> {
  const { ask, graceMs, timing = DRAIN_TIMING, tell } = options;
  let shared: Promise<DrainEnd> | undefined;
  return () => {
    shared ??= wait();
    return shared;
  };

  async function wait(): Promise<DrainEnd> {
    const begin = performance.now();
    const deadline = begin + Math.max(0, graceMs - timing.reserveMs);
    const limit = AbortSignal.timeout(Math.ceil(deadline - begin));
    let answered = begin;
    let told = '';
    for (;;) {
      const answer = await ask(limit);
      const now = performance.now();
      const line = lineOf(answer);
      if (line !== told && !limit.aborted) {
        told = line;
        tell(line);
      }
      if ('done' in answer) {
        answered = now;
      }
      if ('done' in answer && answer.done) {
        return 'sessions are done';
      }
      if (now >= deadline) {
        return 'the grace period is over';
      }
      if (now - answered >= timing.unreachableMs) {
        return 'the controller could not be reached';
      }
      await delay(Math.max(0, Math.min(timing.intervalMs, deadline - now)));
    }
  }
}

function lineOf(answer: DrainAnswer): string {
  return 'problem' in answer ? `cannot ask the controller: ${answer.problem}` : `sessions: ${answer.sessions}, calls: ${answer.calls}`;
}
