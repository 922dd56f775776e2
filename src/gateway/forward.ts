// Step 8 of a decision: everything that Envoy is told about a request that goes to an instance.

import type { SealedSessionId, UpstreamSessionId } from '../core/ids.ts';
import { isReplayable } from '../core/rpc-peek-methods.ts';
import type { Instance, RemotePolicy } from '../directory/snapshot.ts';
import { type RequestKind, type SealedTicket, TICKET_A_HEADER, TICKET_B_HEADER, type TicketWriter } from '../session/ticket.ts';
import { type Case, factsOf } from './case.ts';
import { identityHeaders } from './identity-headers.ts';
import type { Forward, Opening } from './request.ts';

/** The client's token and cookies are for the gateway; an upstream that saw them could act as the client elsewhere. */
const SECRETS: readonly string[] = ['authorization', 'proxy-authorization', 'cookie'];
const SECRETS_AND_SESSION: readonly string[] = [...SECRETS, 'mcp-session-id'];

/** What Envoy retries on its own route, plus a reset after the request was written: only for what may be processed twice. */
const REPLAY = ['x-envoy-retry-on', 'connect-failure,refused-stream,reset-before-request,reset'] as const;

export interface ForwardPlan {
  readonly theCase: Case;
  readonly instance: Instance;
  readonly kind: RequestKind;
  readonly session: { readonly id: SealedSessionId; readonly upstreamId: UpstreamSessionId } | undefined;
  /** Whether the request may be sent again although it may have been processed. */
  readonly replayable: boolean;
  readonly recovered: boolean;
  readonly dropLastEventId: boolean;
  readonly opening: Opening | undefined;
  readonly ending: string | undefined;
  readonly tickets: TicketWriter;
  readonly now: number;
}

/** On the path of every request: literals and pushes, no spreads. */
export function forward(plan: ForwardPlan): Forward {
  const { theCase, instance, session, kind } = plan;
  const { request, shaped, backend, caller, asked, admission } = theCase;
  const { authority, scheme } = request;
  const auth = backend.remote?.auth;
  const ticket = plan.tickets.ticketFor(
    { kind, backend: backend.name, caller, sessionId: session?.id, tried: instance.id, authority, scheme, secretHeader: auth?.header },
    plan.now,
  );
  const steady = steadyHeaders(ticket, plan);
  return {
    kind: 'forward',
    way: kind,
    pass: 1,
    tls: backend.remote?.tls ?? false,
    upstream: instance.address,
    path: backend.path + shaped.query,
    authority: backend.remote?.authority,
    set: plan.replayable ? steady.replayed : steady.set,
    remove: plan.dropLastEventId ? [...steady.remove, 'last-event-id'] : steady.remove,
    sessionId: session?.id,
    corsOrigin: undefined,
    rpcId: replyId(asked.single?.idValue),
    facts: factsOf(theCase, instance.id, plan.recovered),
    rateLimit: admission?.rateLimit,
    leased: admission?.leased ? admission.tenant : undefined,
    opening: plan.opening,
    ending: plan.ending,
  };
}

interface SteadyHeaders {
  readonly upstreamId: UpstreamSessionId | undefined;
  readonly auth: RemotePolicy['auth'];
  readonly set: Forward['set'];
  readonly replayed: Forward['set'];
  readonly remove: Forward['remove'];
}

/** The headers of a session's requests are the same ones as long as their ticket is: the codec knows arrays that it has seen before. */
const steady = new WeakMap<SealedTicket, SteadyHeaders>();

function steadyHeaders(ticket: SealedTicket, { theCase, session }: ForwardPlan): SteadyHeaders {
  const { backend, caller } = theCase;
  const auth = backend.remote?.auth;
  const upstreamId = session?.upstreamId;
  const known = steady.get(ticket);
  if (known && known.upstreamId === upstreamId && isSameSecret(known.auth, auth)) return known;
  const set = identityHeaders(caller);
  set.push([TICKET_A_HEADER, ticket.text]);
  // A session that was opened again may be on a server that keeps none.
  if (upstreamId) set.push(['mcp-session-id', upstreamId]);
  if (auth) set.push([auth.header, auth.value]);
  const remove = withoutSecret(upstreamId ? SECRETS : SECRETS_AND_SESSION, auth);
  const headers: SteadyHeaders = { upstreamId, auth, set, replayed: [...set, REPLAY], remove };
  steady.set(ticket, headers);
  return headers;
}

/** By value: each change of the directory brings new objects that say the same. */
function isSameSecret(a: RemotePolicy['auth'], b: RemotePolicy['auth']): boolean {
  return a === b || (a?.value === b?.value && a?.header === b?.header);
}

/** Envoy removes after it has set: what the gateway sets may not be in the list. Setting replaces what the client sent. */
export function withoutSecret(names: readonly string[], auth: RemotePolicy['auth']): readonly string[] {
  return auth && names.includes(auth.header) ? names.filter((name) => name !== auth.header) : names;
}

/** What pass 2 removes of what pass 1 left. */
export const REBOUND_REMOVES: readonly string[] = [...SECRETS, TICKET_A_HEADER, TICKET_B_HEADER];

/** A longer id is not given back in Envoy's own error replies: it would travel in headers and metadata. */
const MAX_REPLY_ID_CHARS = 256;

export function replyId(id: string | number | undefined): string | number | undefined {
  return typeof id === 'string' && id.length > MAX_REPLY_ID_CHARS ? undefined : id;
}

export function allReplayable(messages: readonly { readonly method: string | undefined }[]): boolean {
  return messages.length > 0 && messages.every((message) => message.method !== undefined && isReplayable(message.method));
}
