// The windows of one tenant, counted in this process by rate-limiter-flexible.

import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { WindowLimit, WindowState } from './limits.ts';
import { windowEnd, windowNumber, windowState } from './windows.ts';

/** About 200 bytes each. Beyond it those whose windows end first make room, the oldest first: they count from zero again. */
const MAX_COUNTERS = 200_000;

export interface Taken {
  readonly admitted: boolean;
  /** As they stand afterwards; when nothing was admitted, as they stood before. */
  readonly states: readonly WindowState[];
  /** Until the last of the windows that refused has ended. */
  readonly retryAfterMs: number;
}

/** Calls must not overlap: between counting and giving back, a window looks fuller than it is. */
export interface WindowCounters {
  take(windows: readonly WindowLimit[], now: number): Promise<Taken>;
  read(windows: readonly WindowLimit[], now: number): Promise<readonly WindowState[]>;
  isEmpty(now: number): boolean;
}

export function createWindowCounters(maxCounters = MAX_COUNTERS): WindowCounters {
  // Its own expiry is not used: it runs on timers, which end windows of more than 24.8 days at once, and has no bound.
  const limiter = new RateLimiterMemory({ keyPrefix: '', points: 0, duration: 0 });
  const keysByEnd = new Map<number, Set<string>>();
  let counters = 0;

  const sweep = (now: number): void => {
    for (const [end, keys] of keysByEnd) {
      if (end > now) continue;
      for (const key of keys) void limiter.delete(key);
      counters -= keys.size;
      keysByEnd.delete(end);
    }
  };

  const makeRoom = (): void => {
    const end = Math.min(...keysByEnd.keys());
    const keys = keysByEnd.get(end) as Set<string>;
    const oldest = keys.values().next().value as string;
    void limiter.delete(oldest);
    counters -= 1;
    keys.delete(oldest);
    if (keys.size === 0) keysByEnd.delete(end);
  };

  const remember = (key: string, end: number, now: number): void => {
    const keys = keysByEnd.get(end);
    if (keys === undefined) {
      sweep(now);
      keysByEnd.set(end, new Set([key]));
    } else {
      keys.add(key);
    }
    counters += 1;
    if (counters > maxCounters) makeRoom();
  };

  const count = async ({ counter, windowMs, cost }: WindowLimit, now: number): Promise<number> => {
    const key = keyOf(counter, windowMs, now);
    // `penalty` counts without judging: the limit is the claim's, and may be another one each time.
    const { consumedPoints, isFirstInDuration } = await limiter.penalty(key, cost);
    if (isFirstInDuration) remember(key, windowEnd(windowMs, now), now);
    return consumedPoints;
  };

  return {
    async take(windows, now) {
      const used = await Promise.all(windows.map((window) => count(window, now)));
      let retryAfterMs = 0;
      for (const [index, { limit, windowMs }] of windows.entries()) {
        if ((used[index] as number) > limit) retryAfterMs = Math.max(retryAfterMs, windowEnd(windowMs, now) - now);
      }
      const admitted = retryAfterMs === 0;
      if (!admitted) await Promise.all(windows.map(({ counter, windowMs, cost }) => limiter.reward(keyOf(counter, windowMs, now), cost)));
      const states = windows.map((window, index) => {
        const before = (used[index] as number) - (admitted ? 0 : window.cost);
        return windowState(window, before, windowEnd(window.windowMs, now) - now);
      });
      return { admitted, states, retryAfterMs };
    },
    read: (windows, now) =>
      Promise.all(
        windows.map(async (window) => {
          const found = await limiter.get(keyOf(window.counter, window.windowMs, now));
          return windowState(window, found?.consumedPoints ?? 0, windowEnd(window.windowMs, now) - now);
        }),
      ),
    isEmpty(now) {
      sweep(now);
      return counters === 0;
    },
  };
}

function keyOf(counter: string, windowMs: number, now: number): string {
  return `${counter}:${windowNumber(windowMs, now)}`;
}
