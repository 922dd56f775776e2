// Where limits are counted: in this process, in the supervisor, or in Redis; unlike `Limits`, it may be out of reach.

import type { SessionKey, TenantId } from '../core/ids.ts';
import type { Claim, Usage, Verdict, WindowLimit } from './limits.ts';

/** How long a claim is remembered by its request id: longer than a request is parked, after which Envoy may still repeat its Check. */
export const ADMITTED_REMEMBERED_MS = 60_000;
/** A refusal took nothing, so that a repeat may be judged anew soon; and whoever is refused does not fill the memory. */
export const REFUSED_REMEMBERED_MS = 5_000;
/** When to come back after a refusal for too many requests under way or too many sessions: nobody knows, but soon. */
export const RETRY_SOON_MS = 1_000;
/** A sidecar that said nothing for so long does not count as alive. */
export const ALIVE_MS = 15_000;

/** What happened to leases and slots. Each may arrive twice, and none is worth waiting for. */
export type Change =
  | { readonly kind: 'release'; readonly tenant: TenantId; readonly requestId: string }
  | { readonly kind: 'prolong'; readonly tenant: TenantId; readonly requestId: string }
  | {
      readonly kind: 'confirm';
      readonly tenant: TenantId;
      readonly requestId: string;
      readonly session: SessionKey;
      readonly idleMs: number;
    }
  | { readonly kind: 'free'; readonly tenant: TenantId; readonly member: string }
  | { readonly kind: 'keep'; readonly tenant: TenantId; readonly session: SessionKey; readonly idleMs: number };

/** Every operation rejects when the counters cannot be reached; none has a time limit of its own. They take effect in the order of the calls. */
export interface QuotaStore {
  admit(claim: Claim): Promise<Verdict>;
  apply(changes: readonly Change[]): Promise<void>;
  /** Says that a sidecar is alive, and answers how many are. Undefined: only answers. */
  beat(sidecar: string | undefined): Promise<number>;
  usage(tenant: TenantId, windows: readonly WindowLimit[]): Promise<Usage>;
}
