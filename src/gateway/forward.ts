// Step 8 of a decision: everything that Envoy is told about a request that goes to an instance.

import type { SealedSessionId, UpstreamSessionId } from '../core/ids.ts';
import { isReplayable } from '../core/rpc-peek-methods.ts';
import type { Backend, Instance } from '../directory/snapshot.ts';
import type { Principal } from '../identity/principal.ts';
import type { Sealer } from '../session/seal.ts';
import { type RequestKind, sealTicketA, TICKET_A_HEADER, TICKET_B_HEADER, type TicketCaller } from '../session/ticket.ts';
import { identityHeaders } from './identity-headers.ts';
import type { Forward, GatewayRequest, Opening, RequestFacts } from './request.ts';

/** The client's token and cookies are for the gateway; an upstream that saw them could act as the client elsewhere. */
const SECRETS = ['authorization', 'cookie'];

/** What Envoy retries on its own route, plus a reset after the request was written: only for what may be processed twice. */
const REPLAY = ['x-envoy-retry-on', 'connect-failure,refused-stream,reset-before-request,reset'] as const;

export interface ForwardPlan {
  readonly request: GatewayRequest;
  readonly backend: Backend;
  readonly query: string;
  readonly instance: Instance;
  readonly caller: Principal;
  readonly kind: RequestKind;
  readonly session: { readonly id: SealedSessionId; readonly upstreamId: UpstreamSessionId } | undefined;
  /** Methods of all messages, to know whether the request may be replayed. */
  readonly replayable: boolean;
  readonly rpcId: string | number | undefined;
  readonly facts: RequestFacts;
  readonly charged: boolean;
  readonly dropLastEventId: boolean;
  readonly opening?: Opening;
  readonly ending?: string;
}

export function forward(plan: ForwardPlan, sealer: Sealer, now: number): Forward {
  const { request, backend, instance, caller, session, facts } = plan;
  const ticket = sealTicketA(
    sealer,
    {
      requestId: request.id,
      method: request.method,
      path: request.path,
      authority: request.authority,
      scheme: request.scheme,
      kind: plan.kind,
      backend: backend.name,
      caller: ticketCaller(caller),
      sessionId: session?.id,
      tried: instance.id,
      charged: plan.charged,
      rpcId: plan.rpcId,
      facts,
    },
    now,
  );
  const set: (readonly [string, string])[] = [[TICKET_A_HEADER, ticket], ...identityHeaders(caller)];
  if (session) set.push(['mcp-session-id', session.upstreamId]);
  if (plan.replayable) set.push(REPLAY);
  const remove = plan.kind === 'session' ? SECRETS : [...SECRETS, 'mcp-session-id'];
  return {
    kind: 'forward',
    way: plan.kind,
    pass: 1,
    tls: backend.remote?.tls ?? false,
    upstream: instance.address,
    path: backend.path + plan.query,
    authority: backend.remote?.authority,
    set,
    remove: plan.dropLastEventId ? [...remove, 'last-event-id'] : remove,
    sessionId: session?.id,
    corsOrigin: undefined,
    rpcId: plan.rpcId,
    facts,
    ...(plan.opening ? { opening: plan.opening } : {}),
    ...(plan.ending === undefined ? {} : { ending: plan.ending }),
  };
}

/** What pass 2 removes besides: the tickets are for the gateway alone, and the new instance never sent the old one's events. */
export const REBOUND_REMOVES: readonly string[] = [...SECRETS, TICKET_A_HEADER, TICKET_B_HEADER, 'last-event-id'];

export function ticketCaller({ issuer, subject, tenant, roles }: Principal): TicketCaller {
  return { issuer, subject, tenant, roles };
}

export function allReplayable(messages: readonly { readonly method: string | undefined }[]): boolean {
  return messages.length > 0 && messages.every((message) => message.method !== undefined && isReplayable(message.method));
}
