// The contract of limits: what one request asks of its tenant's quotas, concurrency and session limits, and what it is told.

import type { SessionKey, TenantId } from '../core/ids.ts';

/** One quota as it applies to one request. Windows are fixed and aligned to the clock: window n begins at n × windowMs since 1970. */
export interface WindowLimit {
  /**
   * Names the counter inside its tenant. The limit itself is no part of it, so that a changed limit goes on counting where the old one was.
   * Visible ASCII without braces, at most 200 characters; made by `gateway/claim.ts`.
   */
  readonly counter: string;
  /** For `RateLimit` headers: lower-case letters, digits and "-". */
  readonly name: string;
  /** Requests in one window; 0 admits none. */
  readonly limit: number;
  readonly windowMs: number;
  /** How many requests of the limit this HTTP request uses: more than 1 for a batch. */
  readonly cost: number;
}

/** What happens to a tenant's requests while the shared counters cannot be reached. */
export type OnOutage = 'allow-local' | 'deny';

/** Everything that one request has to be admitted by: all of it or nothing is taken. */
export interface Claim {
  /** Envoy's request id: the same when Envoy repeats a Check. A second claim with it gets the first one's answer and takes nothing. */
  readonly requestId: string;
  readonly tenant: TenantId;
  readonly windows: readonly WindowLimit[];
  /** Requests under way of the tenant, this one included. Undefined: not limited, and no lease is taken. */
  readonly concurrent: number | undefined;
  /** Open sessions of the tenant, the new one included. Only for `initialize`. Undefined: not limited, no slot. */
  readonly sessions: number | undefined;
  readonly onOutage: OnOutage;
}

/** Where a window stands after the request, for `RateLimit` headers. */
export interface WindowState {
  readonly name: string;
  readonly limit: number;
  readonly windowMs: number;
  readonly remaining: number;
  /** Until the next window begins. */
  readonly resetMs: number;
}

export type Verdict =
  | { readonly kind: 'admitted'; readonly windows: readonly WindowState[] }
  /** `retryAfterMs`: the window's end for a quota, a short time for the others. `windows` as they stand: nothing was taken. */
  | {
      readonly kind: 'refused';
      readonly why: 'quota' | 'concurrency' | 'sessions';
      readonly windows: readonly WindowState[];
      readonly retryAfterMs: number;
    }
  /** The counters cannot be reached and the tenant wants nobody in then. */
  | { readonly kind: 'unavailable' };

/** How long a lease or a reserved slot counts when nobody reports its end; leases of long requests are prolonged every 20 s. */
export const LEASE_TTL_MS = 60_000;

/** Limits as a decision uses them. Nothing here rejects, and no claim waits longer than 50 ms for a store. */
export interface Limits {
  admit(claim: Claim): Verdict | Promise<Verdict>;
  /** The request has ended, in this process's hearing or another one's. Never waits; unknown leases are ignored. */
  release(tenant: TenantId, requestId: string): void;
  /** The request goes on: Envoy reports every 20 s which ones do, to any process. Never waits; a lease that has lapsed is taken again. */
  prolong(tenant: TenantId, requestId: string): void;
  /**
   * The session whose slot `requestId` reserved exists now: its slot counts until it has not been used for `idleMs`. Resolves when the
   * counters know it, or cannot be told for now; never rejects. Until then the request must not end: whoever hears of its end gives the
   * reservation back.
   */
  confirmSlot(tenant: TenantId, requestId: string, session: SessionKey, idleMs: number): Promise<void>;
  /** No session came of the reservation, or the session has ended. `member` is a request id or a session key. */
  releaseSlot(tenant: TenantId, member: string): void;
  /** Sessions that have been used lately keep (or take again) their slot. Called every few seconds. */
  keepSlots(used: readonly SlotUse[]): void;
  /** Where a tenant's counters stand, for people. Rejects when the store cannot be reached. */
  usage(tenant: TenantId, windows: readonly WindowLimit[]): Promise<Usage>;
}

export interface SlotUse {
  readonly tenant: TenantId;
  readonly session: SessionKey;
  readonly idleMs: number;
}

export interface Usage {
  readonly windows: readonly WindowState[];
  readonly concurrent: number;
  readonly sessions: number;
}
