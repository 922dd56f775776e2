// How long to wait before the next start of a process that keeps failing.

/** First wait after a crash. */
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 30_000;
/** A process that was healthy for this long starts again without the memory of earlier failures. */
export const HEALTHY_RESET_MS = 60_000;

export interface Backoff {
  /** Milliseconds to wait before the next start: doubles with each call, from 200 ms up to 30 s. */
  next(): number;
  /** Tells that the process is healthy, or is not. */
  healthy(is: boolean): void;
}

/** Exponential back-off that forgets after `HEALTHY_RESET_MS` of uninterrupted health. `now` in milliseconds, monotonic. */
export function createBackoff({ now }: { now: () => number }): Backoff {
  let failures = 0;
  let healthySince: number | undefined;

  function endHealth(): void {
    if (healthySince !== undefined && now() - healthySince >= HEALTHY_RESET_MS) {
      failures = 0;
    }
    healthySince = undefined;
  }

  return {
    next() {
      endHealth();
      const delay = Math.min(FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS);
      failures = Math.min(failures + 1, 32);
      return delay;
    },
    healthy(is) {
      if (is) {
        healthySince ??= now();
      } else {
        endHealth();
      }
    },
  };
}
