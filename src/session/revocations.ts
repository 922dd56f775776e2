// Callers whose sessions were revoked, each with the moment up to which: small enough to be asked on every request.

import { MAX_REVOKED, REVOCATION_KEPT_MS, type Revocation } from './store.ts';

export interface Revocations {
  /** False when it says nothing new. */
  add(revocation: Revocation): boolean;
  /** Seconds since 1970. */
  before(caller: string): number | undefined;
  /** As `SessionFeed.revoked`. */
  covers(caller: Buffer | string, issuedAt: number): boolean;
  all(): Revocation[];
  /** Forgets those that are older than every id that still opens. */
  sweep(now: number): void;
}

export function createRevocations(): Revocations {
  const moments = new Map<string, number>();
  return {
    add({ caller, before }) {
      const known = moments.get(caller);
      if (known !== undefined && known >= before) return false;
      // Re-inserting keeps the oldest in front.
      moments.delete(caller);
      moments.set(caller, before);
      if (moments.size > MAX_REVOKED) moments.delete(moments.keys().next().value as string);
      return true;
    },
    before: (caller) => moments.get(caller),
    covers(caller, issuedAt) {
      if (moments.size === 0) return false;
      const before = moments.get(typeof caller === 'string' ? caller : caller.toString('base64url'));
      return before !== undefined && issuedAt <= before;
    },
    all: () => [...moments].map(([caller, before]) => ({ caller, before })),
    sweep(now) {
      for (const [caller, before] of moments) if (before * 1000 + REVOCATION_KEPT_MS <= now) moments.delete(caller);
    },
  };
}
