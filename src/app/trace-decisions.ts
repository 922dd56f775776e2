// From a decision to the span that tells of it.

import type { SealedSessionId } from '../core/ids.ts';
import type { AuthorizeDependencies } from '../gateway/authorize.ts';
import type { SessionIds } from '../session/session-id.ts';
import type { Tracing } from '../telemetry/tracing.ts';

type Hook = NonNullable<AuthorizeDependencies['audit']>;

/** Hooks of a decision as one; undefined when there are none. */
export function inTurn(hooks: readonly (Hook | undefined)[]): Hook | undefined {
  const [first, ...others] = hooks.filter((hook) => hook !== undefined);
  if (!first || others.length === 0) return first;
  return (...decided) => {
    first(...decided);
    for (const other of others) other(...decided);
  };
}

/** The decision's own hook; the session is named by its key, never by the id that its client sends. */
export function traceDecisions(tracing: Tracing, sessionIds: SessionIds): Hook {
  return (request, decision, known) => {
    if (!request.trace) return;
    const { sessionId, protocolVersion } = request.headers;
    const grant = sessionId === undefined || !known ? undefined : sessionIds.open(sessionId as SealedSessionId);
    tracing.end(request.trace, {
      requestId: request.id,
      rebound: request.headers.rebound !== undefined,
      status: decision.kind === 'answer' ? decision.status : undefined,
      facts: decision.facts,
      asked: known?.asked.single,
      protocolVersion,
      session: known && grant?.caller.equals(known.caller.hash) ? grant.key : undefined,
    });
  };
}
