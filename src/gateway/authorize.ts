// The decision on one request, in the order of the design: cheap checks first, the first failure wins.

import type { Logger } from 'pino';
import type { SealedSessionId } from '../core/ids.ts';
import type { Balancer } from '../directory/balancer.ts';
import type { Directory } from '../directory/directory.ts';
import type { Backend, Instance } from '../directory/snapshot.ts';
import type { Principal } from '../identity/principal.ts';
import type { Sealer } from '../session/seal.ts';
import type { SessionFeed, SessionStore } from '../session/store.ts';
import type { UseLog } from '../session/use-log.ts';
import { type Asked, readBody } from './body.ts';
import { allReplayable, forward, ticketCaller } from './forward.ts';
import { openingOf } from './opening.ts';
import type { Parking } from './parking.ts';
import { acceptRebound } from './rebound.ts';
import type { Recovery } from './recover.ts';
import { bare, refuse, refuseCapacity } from './refusal.ts';
import type { Decision, GatewayRequest, RequestFacts } from './request.ts';
import { createSessionStep } from './session-step.ts';
import { corsHeaders, corsOrigin, type EdgeRules, type Shaped, shape } from './shape.ts';
import type { ToolHints } from './tool-hints.ts';
import { refuseTools, type ToolLists } from './tool-policy.ts';

/** Longer names of methods and tools are cut in tickets, metadata and log lines: a client may send 64 KiB of them. */
const MAX_NAME_CHARS = 128;

export interface AuthorizeDependencies {
  readonly directory: Directory;
  readonly balancer: Balancer;
  readonly parking: Parking;
  readonly recovery: Recovery;
  readonly sealer: Sealer;
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

/** One request whose shape, caller and body are known: what the later steps share. */
export interface Case {
  readonly request: GatewayRequest;
  readonly shaped: Shaped;
  readonly backend: Backend;
  readonly caller: Principal;
  readonly asked: Asked;
  readonly facts: RequestFacts;
}

export type Authorize = (request: GatewayRequest) => Decision | Promise<Decision>;

/** Answers synchronously unless it has to wait for an instance, a recovery, or a list to filter. Never throws. */
export function createAuthorize(dependencies: AuthorizeDependencies): Authorize {
  const { directory, balancer, parking, sealer, edge, identify, toolLists, log, now = Date.now } = dependencies;
  const continueSession = createSessionStep(dependencies);

  const decide = (request: GatewayRequest): Decision | Promise<Decision> => {
    if (request.headers.rebound !== undefined) return acceptRebound(request, directory.snapshot(), sealer, now());
    const shaped = shape(request, directory.snapshot(), edge);
    if (shaped.kind === 'answer') return shaped;
    const caller = identify(request);
    const asked = readBody(request, shaped);
    if (asked.kind === 'answer') return withFacts(asked, factsOf(shaped.backend, caller, undefined));
    const facts = factsOf(shaped.backend, caller, asked);
    const refused = refuseTools(asked, shaped.backend, facts);
    if (refused) return refused;
    const { backend } = shaped;
    const theCase: Case = { request, shaped, backend, caller, asked, facts };
    const pinned = request.headers.sessionId !== undefined && !shaped.modern && backend.affinity === 'session';
    if (pinned) return continueSession(theCase, request.headers.sessionId as SealedSessionId);
    return begin(theCase);
  };

  /** A request without a session: `initialize`, a modern one, or anything for a stateless backend. */
  const begin = (theCase: Case): Decision | Promise<Decision> => {
    const { backend } = theCase;
    const opens = theCase.asked.single?.method === 'initialize' && backend.affinity === 'session' && !theCase.shaped.modern;
    const instance = balancer.pick(backend, opens);
    if (instance) return send(theCase, instance);
    return park(theCase).then((found) => {
      if (typeof found === 'string')
        return refuseCapacity(found, theCase.asked.single?.method, { rpcId: theCase.asked.single?.id, facts: theCase.facts });
      const ready = balancer.pick(found, opens);
      return ready
        ? send({ ...theCase, backend: found }, ready)
        : refuse('no_instance', { rpcId: theCase.asked.single?.id, facts: theCase.facts });
    });
  };

  const park = ({ backend, request }: Case) => parking.wait(backend.name, backend.startTimeoutMs, undefined, request.signal);

  const send = (theCase: Case, instance: Instance): Decision | Promise<Decision> => {
    const { request, shaped, backend, caller, asked } = theCase;
    if (toolLists.wanted(asked, backend)) return toolLists.answer(theCase, instance, undefined);
    const opening =
      shaped.modern || asked.batch ? undefined : openingOf(request, asked.messages[0], backend, instance.id, ticketCaller(caller));
    return forward(
      {
        request,
        backend,
        query: shaped.query,
        instance,
        caller,
        kind: opening && !opening.stateless ? 'initialize' : 'stateless',
        session: undefined,
        replayable: allReplayable(asked.messages),
        rpcId: asked.single?.idValue,
        facts: { ...theCase.facts, instance: instance.id },
        charged: false,
        dropLastEventId: false,
        ...(opening ? { opening } : {}),
      },
      sealer,
      now(),
    );
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
      return failed(request, error);
    }
  };
}

function factsOf(backend: Backend, caller: Principal, asked: Asked | undefined): RequestFacts {
  const method = asked?.batch ? 'batch' : asked?.single?.method;
  const tool = method === 'tools/call' ? asked?.single?.name : undefined;
  return {
    backend: backend.name,
    tenant: caller.tenant,
    subject: caller.subject,
    ...(method === undefined ? {} : { method: method.slice(0, MAX_NAME_CHARS) }),
    ...(tool === undefined ? {} : { tool: tool.slice(0, MAX_NAME_CHARS) }),
  };
}

function withFacts<T extends Decision>(decision: T, facts: RequestFacts): T {
  return { ...decision, facts: { ...facts, ...decision.facts } };
}

function withCors(decision: Decision, request: GatewayRequest, edge: EdgeRules): Decision {
  const origin = corsOrigin(request.headers.origin, edge);
  if (origin === undefined) return decision;
  if (decision.kind === 'forward') return { ...decision, corsOrigin: origin };
  return { ...decision, headers: [...decision.headers, ...corsHeaders(origin)] };
}
