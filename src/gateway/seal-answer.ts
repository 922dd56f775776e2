// The answer to `initialize` on its way out: the upstream's session id becomes the sealed one, and the session gets its record.

import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { BackendName, InstanceId, TenantId, UpstreamSessionId } from '../core/ids.ts';
import { within } from '../core/within.ts';
import { createPrincipal } from '../identity/principal.ts';
import type { Limits } from '../quota/limits.ts';
import type { Sealer } from '../session/seal.ts';
import { newSessionKey, sealSessionId, upstreamIdFault } from '../session/session-id.ts';
import type { SessionStore } from '../session/store.ts';
import type { Opening } from './request.ts';

/** The record is worth a short wait, the session is not worth failing: without it everything works but recovery. */
const STORE_TIMEOUT_MS = 2_000;

/** What becomes of the `mcp-session-id` of the upstream's answer. */
export type SealedAnswer =
  | { readonly kind: 'keep' }
  | { readonly kind: 'remove' }
  | { readonly kind: 'replace'; readonly sessionId: string }
  | { readonly kind: 'refuse'; readonly why: string };

export type SealAnswer = (opening: Opening | undefined, status: number, upstreamId: string | undefined) => Promise<SealedAnswer>;

export interface SealAnswerDependencies {
  readonly sealer: Sealer;
  readonly store: SessionStore;
  readonly limits: Pick<Limits, 'confirmSlot' | 'releaseSlot'>;
  readonly ages: (backend: BackendName) => { readonly maxAgeMs: number; readonly idleTimeoutMs: number };
  readonly log: Logger;
  readonly now?: () => number;
}

export function createSealAnswer({ sealer, store, limits, ages, log, now = Date.now }: SealAnswerDependencies): SealAnswer {
  const seal: SealAnswer = async (opening, status, upstreamId) => {
    if (upstreamId === undefined) return { kind: 'keep' };
    // Ids on anything but an accepted `initialize` would leak the upstream's own id: some clients adopt it from any answer.
    if (upstreamId === '' || !opening || opening.stateless || status < 200 || status > 299) return { kind: 'remove' };
    const fault = upstreamIdFault(upstreamId);
    if (fault !== undefined) return { kind: 'refuse', why: fault };

    const created = now();
    const key = newSessionKey(randomBytes);
    const backend = opening.backend as BackendName;
    const { maxAgeMs, idleTimeoutMs } = ages(backend);
    const instance = opening.instance as InstanceId;
    const tenant = opening.tenant as TenantId;
    const caller = createPrincipal({ issuer: opening.issuer, subject: opening.subject, tenant, roles: [], scopes: [] });
    const sessionId = sealSessionId(sealer, {
      key,
      backend,
      instance,
      upstreamId: upstreamId as UpstreamSessionId,
      caller: caller.hash,
      tenant,
      issuedAt: Math.floor(created / 1000),
    });
    const stored = store.create({
      key,
      backend,
      issuer: opening.issuer,
      subject: opening.subject,
      tenant,
      createdAt: created,
      expiresAt: created + maxAgeMs,
      initialize: opening.params,
      level: undefined,
      subscriptions: [],
      binding: { generation: 0, instance, upstreamId: upstreamId as UpstreamSessionId },
      end: undefined,
      streamGeneration: 0,
    });
    const confirmed = opening.slot === undefined ? undefined : limits.confirmSlot(tenant, opening.slot, key, idleTimeoutMs);
    await within(stored, STORE_TIMEOUT_MS).catch((err: unknown) => log.warn({ backend, err }, 'session record not stored'));
    // Another process hears of the end of this request, and frees what it had reserved: not before the session has its slot.
    await confirmed;
    return { kind: 'replace', sessionId };
  };

  return async (opening, status, upstreamId) => {
    const sealed = await seal(opening, status, upstreamId);
    // Nothing was opened that could use the slot.
    if (sealed.kind !== 'replace' && opening?.slot !== undefined) limits.releaseSlot(opening.tenant as TenantId, opening.slot);
    return sealed;
  };
}
