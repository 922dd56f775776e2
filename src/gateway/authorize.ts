// The decision on one request, in the order of the design: cheap checks first, the first failure wins.

import type { Logger } from 'pino';
import type { SealedSessionId } from '../core/ids.ts';
import type { Balancer } from '../directory/balancer.ts';
import type { Directory } from '../directory/directory.ts';
import type { Backend, Instance } from '../directory/snapshot.ts';
import type { Sealer } from '../session/seal.ts';
import type { SessionIds } from '../session/session-id.ts';
import type { SessionFeed, SessionStore } from '../session/store.ts';
import type { TicketWriter } from '../session/ticket.ts';
import type { UseLog } from '../session/use-log.ts';
import type { Admissions } from './admission.ts';
import { NOTHING_ASKED, readBody } from './body.ts';
import { type Caller, type Identify, refuseAccess, refuseScopes } from './caller.ts';
import { type Case, factsOf } from './case.ts';
import { hasQuotas } from './claim.ts';
import { allReplayable, forward } from './forward.ts';
import { openingOf } from './opening.ts';
import { type Parking, parkedAs } from './parking.ts';
import type { PublicUrlRules } from './public-url.ts';
import { acceptRebound } from './rebound.ts';
import type { Recovery } from './recover.ts';
import { bare, refuse, refuseCapacity } from './refusal.ts';
import type { Answer, Decision, GatewayRequest } from './request.ts';
import { createSessionStep } from './session-step.ts';
import { corsHeaders, corsOrigin, type EdgeRules, type Shaped, shape } from './shape.ts';
import type { ToolHints } from './tool-hints.ts';
import { hasToolRules, refuseTools, type ToolLists } from './tool-policy.ts';

export interface AuthorizeDependencies {
  readonly directory: Directory;
  readonly balancer: Balancer;
  readonly parking: Parking;
  readonly recovery: Recovery;
  readonly sealer: Sealer;
  readonly sessionIds: SessionIds;
  readonly tickets: TicketWriter;
  readonly store: SessionStore;
  readonly feed: SessionFeed;
  readonly useLog: UseLog;
  readonly toolLists: ToolLists;
  readonly toolHints: ToolHints;
  readonly edge: EdgeRules;
  readonly publicUrl: PublicUrlRules;
  readonly onRevocationOutage: 'allow' | 'deny';
  readonly identify: Identify;
  readonly admissions: Admissions;
  /** What is written down of a decision; undefined when nothing is. */
  readonly audit: ((request: GatewayRequest, decision: Decision, known: Case | undefined) => void) | undefined;
  readonly log: Logger;
  readonly now?: () => number;
}

export type Authorize = (request: GatewayRequest) => Decision | Promise<Decision>;

/** Answers synchronously unless it has to wait for a key, the limits, an instance, a recovery, or a list to filter. Never throws. */
export function createAuthorize(dependencies: AuthorizeDependencies): Authorize {
  const { directory, balancer, parking, sealer, tickets, edge, identify, admissions, toolLists, toolHints, audit, log } = dependencies;
  const { publicUrl, now = Date.now } = dependencies;
  const continueSession = createSessionStep(dependencies);

  const decide = (request: GatewayRequest, trail: Trail): Decision | Promise<Decision> => {
    const snapshot = directory.snapshot();
    if (request.headers.rebound !== undefined) return acceptRebound(request, snapshot, sealer, now());
    const shaped = shape(request, snapshot, edge);
    if (shaped.kind === 'answer') {
      // Whoever has no token does not learn which names exist.
      if (shaped.facts.reason !== 'unknown_backend') return shaped;
      return whenKnown(identify(request, undefined, snapshot), () => shaped);
    }
    return whenKnown(identify(request, shaped.backend, snapshot), (caller) => decideFor(caller, request, shaped, trail));
  };

  const decideFor = (caller: Caller, request: GatewayRequest, shaped: Shaped, trail: Trail): Decision | Promise<Decision> => {
    const { backend } = shaped;
    const asked = readBody(request, isRuled(caller, backend));
    if (asked.kind === 'answer') {
      const facts = factsOf({ request, shaped, backend, caller, asked: NOTHING_ASKED, admission: undefined });
      return { ...asked, facts: { ...facts, ...asked.facts } };
    }
    const theCase: Case = { request, shaped, backend, caller, asked, admission: undefined };
    trail.known = theCase;
    const unopenable = refuseOpening(theCase);
    if (unopenable) return unopenable;
    const { sessionId } = request.headers;
    if (sessionId !== undefined && !shaped.modern && backend.affinity === 'session')
      return continueSession(theCase, sessionId as SealedSessionId);
    return refuseTools(theCase) ?? refuseScopes(theCase, publicUrl) ?? admissions.admit(theCase, opensSession(theCase), begin);
  };

  /** A request without a session: `initialize`, a modern one, or anything for a stateless backend. */
  const begin = (theCase: Case): Decision | Promise<Decision> => {
    const opens = opensSession(theCase);
    const instance = balancer.pick(theCase.backend, opens);
    return instance ? send(theCase, instance) : beginLater(theCase, opens);
  };

  const beginLater = async (theCase: Case, opens: boolean): Promise<Decision> => {
    const { backend, request, shaped, asked } = theCase;
    const found = await parking.wait(backend.name, backend.startTimeoutMs, parkedAs(theCase.caller), request.signal);
    const instance = typeof found === 'string' ? undefined : balancer.pick(found, opens);
    if (typeof found !== 'string' && instance) {
      const later: Case = { ...theCase, backend: found };
      // A minute has passed, in which the rules may have changed.
      return refuseAccess(later) ?? refuseTools(later) ?? refuseScopes(later, publicUrl) ?? send(later, instance);
    }
    const code = typeof found === 'string' ? found : 'no_instance';
    return refuseCapacity(code, asked.single?.method, { rpcId: asked.single?.id, facts: factsOf(theCase), modern: shaped.modern });
  };

  const send = (theCase: Case, instance: Instance, again = false): Decision | Promise<Decision> => {
    const { request, shaped, backend, caller, asked, admission } = theCase;
    if (toolLists.wanted(theCase)) {
      return toolLists.answer(theCase, instance, undefined, again ? undefined : () => sendElsewhere(theCase, instance));
    }
    const opening =
      shaped.modern || asked.batch
        ? undefined
        : openingOf(request, asked.messages[0], backend, instance.id, caller, admission?.slot ? request.id : undefined);
    return forward({
      theCase,
      instance,
      kind: opening && !opening.stateless ? 'initialize' : 'stateless',
      session: undefined,
      replayable: allReplayable(asked.messages) || toolHints.replayable(theCase, instance, undefined),
      recovered: false,
      dropLastEventId: false,
      opening,
      ending: undefined,
      tickets,
      now: now(),
    });
  };

  /** For what is not forwarded by Envoy, whose retry would do the same. */
  const sendElsewhere = (theCase: Case, failed: Instance): Decision | Promise<Decision> => {
    balancer.suspect(failed.id);
    return send(theCase, balancer.pick(theCase.backend, false, failed.id) ?? failed, true);
  };

  const failed = (request: GatewayRequest, error: unknown): Decision => {
    // The client has gone: nobody reads the answer, but Envoy's call must end.
    if (request.signal.aborted) return bare(499, { reason: 'client_gone' });
    log.error({ requestId: request.id, err: error }, 'decision failed');
    return refuse('internal_error');
  };

  const finish = (decision: Decision, request: GatewayRequest, { known }: Trail): Decision => {
    audit?.(request, decision, known);
    return withCors(decision, request, edge);
  };

  return (request) => {
    const trail: Trail = { known: undefined };
    try {
      const decision = decide(request, trail);
      if (!(decision instanceof Promise)) return finish(decision, request, trail);
      return decision.catch((error: unknown) => failed(request, error)).then((settled) => finish(settled, request, trail));
    } catch (error) {
      return finish(failed(request, error), request, trail);
    }
  };
}

/** What is known of a request by the time it is decided. */
interface Trail {
  known: Case | undefined;
}

function whenKnown(
  caller: Caller | Answer | Promise<Caller | Answer>,
  go: (caller: Caller) => Decision | Promise<Decision>,
): Decision | Promise<Decision> {
  if (caller instanceof Promise) return caller.then((known) => ('kind' in known ? known : go(known)));
  return 'kind' in caller ? caller : go(caller);
}

/** Whether a rule is in force that decides on what is in a body. */
function isRuled(caller: Caller, backend: Backend): boolean {
  if (hasToolRules({ caller, backend }) || hasQuotas(caller, backend.name)) return true;
  return !caller.local && (backend.access?.toolScopes.length ?? 0) > 0;
}

function opensSession({ asked, backend }: Case): boolean {
  return asked.single?.method === 'initialize' && backend.affinity === 'session';
}

/** An `initialize` that would open a session on its server which nobody could use, and no limit would count. */
function refuseOpening(theCase: Case): Answer | undefined {
  const { asked, shaped } = theCase;
  if (!opensSession(theCase)) return undefined;
  const options = { rpcId: asked.single?.id, facts: factsOf(theCase) };
  if (!asked.complete) return refuse('body_too_large', options);
  // There are no sessions in the era that the header names. Servers of that era say so; earlier ones do not look, and open one.
  return shaped.modern ? refuse('initialize_after_sessions', options) : undefined;
}

function withCors(decision: Decision, request: GatewayRequest, edge: EdgeRules): Decision {
  const origin = corsOrigin(request.headers.origin, edge);
  if (origin === undefined) return decision;
  if (decision.kind === 'forward') return { ...decision, corsOrigin: origin };
  return { ...decision, headers: [...decision.headers, ...corsHeaders(origin)] };
}
