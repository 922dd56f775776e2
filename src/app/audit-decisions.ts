// From a decision to what the audit log says of it.

import type { SealedSessionId } from '../core/ids.ts';
import type { AuthorizeDependencies } from '../gateway/authorize.ts';
import type { SessionIds } from '../session/session-id.ts';
import type { Audit } from '../telemetry/audit.ts';

/** The decision's own hook; the session is named by its key, which nobody can send. */
export function auditDecisions(audit: Audit, sessionIds: SessionIds): NonNullable<AuthorizeDependencies['audit']> {
  return (request, decision, known) => {
    const { facts } = decision;
    // The first pass of a recovered call has left its line.
    if (request.headers.rebound !== undefined && facts.reason === undefined) return;
    // Most requests leave nothing: not even the session id is looked at for them.
    if (facts.reason === undefined && facts.method !== 'tools/call' && facts.method !== 'batch') return;
    const { sessionId } = request.headers;
    const grant = sessionId === undefined ? undefined : sessionIds.open(sessionId as SealedSessionId);
    audit.decided({
      requestId: request.id,
      issuer: known?.caller.issuer,
      facts,
      // Of somebody else's session not even the key is written: the line is about this caller.
      session: known && grant?.caller.equals(known.caller.hash) ? grant.key : undefined,
      messages: known?.asked.messages ?? [],
      body: known?.caller.policy?.auditArguments ? request.body : undefined,
    });
  };
}
