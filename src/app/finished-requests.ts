// What follows from a request that has ended: the record that is counted and logged, and the end of a session.

import type { SessionKey } from '../core/ids.ts';
import type { FinishedRequest } from '../envoy/access-log.ts';
import type { SessionStore } from '../session/store.ts';
import type { RequestRecord } from '../telemetry/requests.ts';

/** The DELETE of a session: a server that confirms it, or does not know the session, has ended it. */
export function settle({ lease, status }: FinishedRequest, store: SessionStore): void {
  const key = /^end (\S+)$/.exec(lease ?? '')?.[1] as SessionKey | undefined;
  if (key === undefined) return;
  const ended = (status >= 200 && status <= 299) || status === 404;
  // Without the store the mark stays `ending`, which counts as ended.
  store.end(key, ended ? 'ended' : undefined).catch(() => {});
}

/** Undefined for what is no request of a client, or no end of one. */
export function recordOf(finished: FinishedRequest): RequestRecord | undefined {
  // The first pass of a recovered request: recovery's own 307, which no client sees. The second pass tells how it ended.
  if (finished.status === 307 && finished.upstream === undefined) return undefined;
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
