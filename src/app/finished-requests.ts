// What follows from a request that has ended: the record that is counted and logged, and the end of a session.

import type { SessionKey, TenantId } from '../core/ids.ts';
import type { FinishedRequest } from '../envoy/access-log.ts';
import type { Limits } from '../quota/limits.ts';
import type { SessionStore } from '../session/store.ts';
import type { RequestRecord } from '../telemetry/requests.ts';

/** Gives back what the request was lent, or prolongs it while the request goes on; and settles the DELETE of a session. */
export function settle(finished: FinishedRequest, store: SessionStore, limits: Limits): void {
  const { lease, requestId, interim } = finished;
  if (lease === undefined) return;
  const leased = lease.leased as TenantId | undefined;
  if (leased !== undefined && interim) limits.prolong(leased, requestId);
  if (interim) return;
  // The pass that follows a recovery holds on to what this one was lent.
  if (!isSentRound(finished)) {
    if (leased !== undefined) limits.release(leased, requestId);
    // Its session, if there is one, has the slot by now: this is for clients that went, and servers that broke, before there was one.
    if (lease.opens !== undefined) limits.releaseSlot(lease.opens as TenantId, requestId);
  }
  if (lease.ending !== undefined) settleEnd(lease.ending as SessionKey, finished, store, limits);
}

/** A server that confirms the DELETE of a session, or does not know it, has ended it. */
function settleEnd(key: SessionKey, { status, facts }: FinishedRequest, store: SessionStore, limits: Limits): void {
  const ended = (status >= 200 && status <= 299) || status === 404;
  // Without the store the mark stays `ending`, which counts as ended.
  store.end(key, ended ? 'ended' : undefined).catch(() => {});
  if (ended && facts.tenant !== undefined) limits.releaseSlot(facts.tenant as TenantId, key);
}

/** The first pass of a recovered request: recovery's own 307, which no client sees. The second pass tells how it ended. */
const isSentRound = ({ status, upstream }: FinishedRequest): boolean => status === 307 && upstream === undefined;

/** Undefined for what is no request of a client, or no end of one. */
export function recordOf(finished: FinishedRequest): RequestRecord | undefined {
  if (finished.interim || isSentRound(finished)) return undefined;
  const { facts } = finished;
  if (facts.backend === undefined && facts.reason === undefined && !finished.path.startsWith('/adapters/')) return undefined;
  return {
    requestId: finished.requestId,
    backend: facts.backend,
    httpMethod: finished.httpMethod,
    method: facts.method,
    tool: facts.tool,
    tenant: facts.tenant,
    subject: facts.subject,
    pod: facts.instance,
    status: finished.status,
    reason: facts.reason ?? reasonOf(finished),
    durationMs: finished.durationMs,
    attempts: finished.attempts,
    recovered: facts.recovered ?? false,
    flags: finished.flags,
  };
}

/** For what Envoy answered by itself: its own words for it. */
function reasonOf({ details, status, upstream, attempts }: FinishedRequest): string | undefined {
  // Answered on the recovery endpoint's unix socket, which has no address.
  if (details === 'via_upstream' && upstream === undefined && attempts > 0) {
    if (status === 404) return 'session_not_found';
    return status >= 500 ? 'recovery_failed' : undefined;
  }
  if (details === 'via_upstream' || details === '' || (status > 0 && status < 400)) return undefined;
  return (/^[a-z0-9_]+/.exec(details)?.[0] ?? 'other').slice(0, 64);
}
