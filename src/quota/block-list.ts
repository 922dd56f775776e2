// Windows that are used up: until they end, their tenant's requests are refused here, without asking anybody.
//
// Not rate-limiter-flexible: its block list answers by promises, has no bound, and a timer for each entry. This is one look into a
// Map for a tenant with nothing used up: about 20 ns, where three promises of that library take more than 1,000.

import type { TenantId } from '../core/ids.ts';
import type { Claim, Verdict, WindowLimit, WindowState } from './limits.ts';

/** Of one tenant. What is not on the list costs a question to the shared counters, and nothing else. */
const MAX_BLOCKED = 5_000;

export interface BlockList {
  /** The refusal of a claim that has to fail, with only those windows that are known to be used up. */
  refusalOf(claim: Claim, now: number): Verdict | undefined;
  /** Learns from what the shared counters said. `askedAt`: when the question was sent, so that no window is blocked past its end. */
  learn(claim: Claim, verdict: Verdict, askedAt: number): void;
}

export function createBlockList(maxBlocked = MAX_BLOCKED): BlockList {
  /** By tenant, then by counter and limit: a limit that was raised is another entry, and counts at once. */
  const ends = new Map<TenantId, Map<string, number>>();

  const block = (tenant: TenantId, key: string, end: number, now: number): void => {
    const blocked = ends.get(tenant) ?? new Map<string, number>();
    ends.set(tenant, blocked);
    if (blocked.size >= maxBlocked) {
      for (const [other, until] of blocked) if (until <= now) blocked.delete(other);
      if (blocked.size >= maxBlocked) blocked.delete(blocked.keys().next().value as string);
    }
    blocked.set(key, end);
  };

  return {
    refusalOf({ tenant, windows }, now) {
      const blocked = ends.get(tenant);
      if (blocked === undefined) return undefined;
      const states: WindowState[] = [];
      let retryAfterMs = 0;
      for (const window of windows) {
        const key = keyOf(window);
        const resetMs = (blocked.get(key) ?? now) - now;
        if (resetMs > 0) {
          const { name, limit, windowMs } = window;
          states.push({ name, limit, windowMs, remaining: 0, resetMs });
          retryAfterMs = Math.max(retryAfterMs, resetMs);
        } else if (blocked.delete(key) && blocked.size === 0) {
          ends.delete(tenant);
        }
      }
      return states.length === 0 ? undefined : { kind: 'refused', why: 'quota', windows: states, retryAfterMs };
    },
    learn({ tenant, windows }, verdict, askedAt) {
      if (verdict.kind === 'unavailable') return;
      for (const [index, { remaining, resetMs }] of verdict.windows.entries()) {
        if (remaining === 0) block(tenant, keyOf(windows[index] as WindowLimit), askedAt + resetMs, askedAt);
      }
    },
  };
}

function keyOf({ counter, limit }: WindowLimit): string {
  return `${counter} ${limit}`;
}
