// When a process is asked how it is, and when its answers make it ready, unready again, or a failed start.

import { setTimeout as delay } from 'node:timers/promises';
import type { ProbeResult } from './probe.ts';

const STARTING_INTERVAL_MS = 250;
const INTERVAL_MS = 5000;
/** While a server that was well is not: soon enough to take it back. */
const UNWELL_INTERVAL_MS = 1000;
/** So many failures in a row, and a server that was well takes no new work. */
const FAILURES = 3;

/** Intervals are an option so that tests need not wait for them. */
export interface HealthTiming {
  readonly startingMs: number;
  readonly intervalMs: number;
  readonly unwellMs: number;
}
export const HEALTH_TIMING: HealthTiming = { startingMs: STARTING_INTERVAL_MS, intervalMs: INTERVAL_MS, unwellMs: UNWELL_INTERVAL_MS };

/**
 * Asks until `signal` aborts (then resolves with `undefined`), or until the server has not become well within `startTimeoutMs`
 * (then with the last reason). `onResult` gets every verdict: `ready` says whether the server may take work now.
 */
export async function watchHealth(options: {
  probe: (signal: AbortSignal) => Promise<ProbeResult>;
  onResult: (verdict: { ready: boolean; result: ProbeResult }) => void;
  /** Asked anew at each turn, because a declaration may change. `undefined`: waits for ever. */
  startTimeoutMs: () => number | undefined;
  signal: AbortSignal;
  timing?: HealthTiming;
}): Promise<string | undefined> {
  const { probe, onResult, startTimeoutMs, signal, timing = HEALTH_TIMING } = options;
  const begin = performance.now();
  let everReady = false;
  let ready = false;
  let failures = 0;
  while (!signal.aborted) {
    const result = await probe(signal);
    if (signal.aborted) {
      return undefined;
    }
    failures = result.ok ? 0 : failures + 1;
    ready = result.ok || (ready && failures < FAILURES);
    everReady ||= ready;
    onResult({ ready, result });
    const limit = startTimeoutMs();
    if (!everReady && limit !== undefined && performance.now() - begin >= limit) {
      return result.ok ? undefined : result.reason;
    }
    const pause = ready ? timing.intervalMs : everReady ? timing.unwellMs : timing.startingMs;
    await delay(pause, undefined, { signal }).catch(() => undefined);
  }
  return undefined;
}
