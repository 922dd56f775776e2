// A sidecar's own part of a tenant's limits, for as long as the shared counters are out of reach.

import type { Claim, Verdict, WindowLimit } from './limits.ts';

/** Limits divided by the number of living sidecars. At least one, so that nobody is shut out by it; but nothing of nothing. */
export function shareOf(claim: Claim, live: number): Claim {
  return {
    ...claim,
    concurrent: partOf(claim.concurrent, live),
    sessions: partOf(claim.sessions, live),
    windows: claim.windows.map((window) => ({ ...window, limit: partOf(window.limit, live) })),
  };
}

/** The client is told its tenant's real limit; what remains of it here is less. */
export function withRealLimits(verdict: Verdict, windows: readonly WindowLimit[]): Verdict {
  if (verdict.kind === 'unavailable') return verdict;
  const states = verdict.windows.map((state, index) => ({ ...state, limit: windows[index]?.limit ?? state.limit }));
  return { ...verdict, windows: states };
}

function partOf<Limit extends number | undefined>(limit: Limit, live: number): Limit {
  if (limit === undefined || limit === 0) return limit;
  return Math.max(1, Math.floor(limit / Math.max(1, live))) as Limit;
}
