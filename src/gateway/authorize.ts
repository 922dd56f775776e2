// The decision on one request, in the order of the design: cheap checks first, the first failure wins.

import type { Logger } from 'pino';
import type { SealedSessionId } from '../core/ids.ts';
import type { Balancer } from '../directory/balancer.ts';
import type { Directory } from '../directory/directory.ts';
import type { Instance } from '../directory/snapshot.ts';
import type { Principal } from '../identity/principal.ts';
import type { Sealer } from '../session/seal.ts';
import type { SessionIds } from '../session/session-id.ts';
import type { SessionFeed, SessionStore } from '../session/store.ts';
import type { TicketWriter } from '../session/ticket.ts';
import type { UseLog } from '../session/use-log.ts';
import { NOTHING_ASKED, readBody } from './body.ts';
import { type Case, factsOf } from './case.ts';
import { allReplayable, forward } from './forward.ts';
import { openingOf } from './opening.ts';
import type { Parking } from './parking.ts';
import { acceptRebound } from './rebound.ts';
import type { Recovery } from './recover.ts';
import { bare, refuse, refuseCapacity } from './refusal.ts';
import type { Decision, GatewayRequest } from './request.ts';
import { createSessionStep } from './session-step.ts';
import { corsHeaders, corsOrigin, type EdgeRules, shape } from './shape.ts';
import type { ToolHints } from './tool-hints.ts';
import { refuseTools, type ToolLists } from './tool-policy.ts';

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
  readonly onRevocationOutage: 'allow' | 'deny';
  /** Who is calling: a constant in the local mode. */
  readonly identify: (request: GatewayRequest) => Principal;
  readonly log: Logger;
  readonly now?: () => number;
}

export type Authorize = (request: GatewayRequest) => Decision | Promise<Decision>;

/** Answers synchronously unless it has to wait for an instance, a recovery, or a list to filter. Never throws. */
export function createAuthorize(dependencies: AuthorizeDependencies): Authorize {
  const { directory, balancer, parking, sealer, tickets, edge, identify, toolLists, toolHints, log, now = Date.now } = dependencies;
  const continueSession = createSessionStep(dependencies);

  const decide = (request: GatewayRequest): Decision | Promise<Decision> => {
    if (request.headers.rebound !== undefined) return acceptRebound(request, directory.snapshot(), sealer, now());
    const shaped = shape(request, directory.snapshot(), edge);
    if (shaped.kind === 'answer') return shaped;
    const { backend } = shaped;
    const caller = identify(request);
    const asked = readBody(request, shaped);
    if (asked.kind === 'answer')
      return { ...asked, facts: { ...factsOf({ request, shaped, backend, caller, asked: NOTHING_ASKED }), ...asked.facts } };
    const theCase: Case = { request, shaped, backend, caller, asked };
    const { sessionId } = request.headers;
    if (sessionId !== undefined && !shaped.modern && backend.affinity === 'session')
      return continueSession(theCase, sessionId as SealedSessionId);
    return refuseTools(theCase) ?? begin(theCase);
  };

  /** A request without a session: `initialize`, a modern one, or anything for a stateless backend. */
  const begin = (theCase: Case): Decision | Promise<Decision> => {
    const { backend } = theCase;
    const opens = theCase.asked.single?.method === 'initialize' && backend.affinity === 'session' && !theCase.shaped.modern;
    const instance = balancer.pick(backend, opens);
    return instance ? send(theCase, instance) : beginLater(theCase, opens);
  };

  const beginLater = async (theCase: Case, opens: boolean): Promise<Decision> => {
    const { backend, request, asked } = theCase;
    const found = await parking.wait(backend.name, backend.startTimeoutMs, undefined, request.signal);
    const instance = typeof found === 'string' ? undefined : balancer.pick(found, opens);
    if (typeof found !== 'string' && instance) return send({ ...theCase, backend: found }, instance);
    const code = typeof found === 'string' ? found : 'no_instance';
    return refuseCapacity(code, asked.single?.method, { rpcId: asked.single?.id, facts: factsOf(theCase) });
  };

  const send = (theCase: Case, instance: Instance, again = false): Decision | Promise<Decision> => {
    const { request, shaped, backend, caller, asked } = theCase;
    if (toolLists.wanted(asked, backend)) {
      return toolLists.answer(theCase, instance, undefined, again ? undefined : () => sendElsewhere(theCase, instance));
    }
    const opening = shaped.modern || asked.batch ? undefined : openingOf(request, asked.messages[0], backend, instance.id, caller);
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

  return (request) => {
    try {
      const decision = decide(request);
      if (!(decision instanceof Promise)) return withCors(decision, request, edge);
      return decision.catch((error: unknown) => failed(request, error)).then((settled) => withCors(settled, request, edge));
    } catch (error) {
      return withCors(failed(request, error), request, edge);
    }
  };
}

function withCors(decision: Decision, request: GatewayRequest, edge: EdgeRules): Decision {
  const origin = corsOrigin(request.headers.origin, edge);
  if (origin === undefined) return decision;
  if (decision.kind === 'forward') return { ...decision, corsOrigin: origin };
  return { ...decision, headers: [...decision.headers, ...corsHeaders(origin)] };
}
