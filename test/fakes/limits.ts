// Limits that admit everything and note what they were told.

import type { Claim, Limits, SlotUse, Verdict } from '../../src/quota/limits.ts';

export interface NotedLimits extends Limits {
  readonly claims: Claim[];
  /** `release red r1`, in order. */
  readonly told: string[];
  readonly kept: SlotUse[];
}

export function notedLimits(verdict: (claim: Claim) => Verdict | Promise<Verdict> = admitAll): NotedLimits {
  const claims: Claim[] = [];
  const told: string[] = [];
  const kept: SlotUse[] = [];
  return {
    claims,
    told,
    kept,
    admit: (claim) => {
      claims.push(claim);
      return verdict(claim);
    },
    release: (tenant, id) => void told.push(`release ${tenant} ${id}`),
    prolong: (tenant, id) => void told.push(`prolong ${tenant} ${id}`),
    confirmSlot: async (tenant, id, session, idleMs) => void told.push(`confirm ${tenant} ${id} ${session} ${idleMs}`),
    releaseSlot: (tenant, member) => void told.push(`release slot ${tenant} ${member}`),
    keepSlots: (uses) => void kept.push(...uses),
    usage: async () => ({ windows: [], concurrent: 0, sessions: 0 }),
  };
}

function admitAll({ windows }: Claim): Verdict {
  return {
    kind: 'admitted',
    windows: windows.map(({ name, limit, windowMs, cost }) => ({ name, limit, windowMs, remaining: limit - cost, resetMs: windowMs })),
  };
}
