// Pass 2: a request that recovery has sent round again, authorised by its ticket B and by nothing else.

import { peek } from '../core/rpc-peek.ts';
import { queryOf } from '../core/url-query.ts';
import type { Snapshot } from '../directory/snapshot.ts';
import type { Sealer } from '../session/seal.ts';
import { openTicketB, type TicketB } from '../session/ticket.ts';
import { REBOUND_REMOVES } from './forward.ts';
import { identityHeaders } from './identity-headers.ts';
import { openingOf } from './opening.ts';
import { refuse } from './refusal.ts';
import type { Decision, GatewayRequest } from './request.ts';

/**
 * Envoy's redirect copied the ticket, so it came from an answer to this very request; a pod's copy of our headers is checked
 * all the same: only recovery can write a ticket B, and it is good for one request id, method and path.
 */
export function acceptRebound(request: GatewayRequest, snapshot: Snapshot, sealer: Sealer, now: number): Decision {
  const ticket = openTicketB(sealer, request.headers.rebound ?? '', now);
  if (!ticket || !isFor(ticket, request)) return refuse('session_not_found');
  const backend = snapshot.backends.get(ticket.backend);
  if (!backend) return refuse('unknown_backend');
  const set = identityHeaders(ticket.caller);
  if (ticket.upstreamId) set.push(['mcp-session-id', ticket.upstreamId]);
  const facts = { ...ticket.facts, instance: ticket.instance, recovered: ticket.moved };
  const initialize = ticket.kind === 'initialize' ? peek(request.body, { complete: request.bodyComplete }) : undefined;
  const opening =
    initialize?.kind === 'single' ? openingOf(request, initialize.message, backend, ticket.instance, ticket.caller) : undefined;
  return {
    kind: 'forward',
    way: ticket.kind,
    pass: 2,
    tls: backend.remote?.tls ?? false,
    upstream: ticket.address,
    path: backend.path + queryOf(request.path),
    authority: backend.remote?.authority,
    set,
    remove: removedHeaders(ticket),
    sessionId: ticket.sessionId,
    corsOrigin: undefined,
    rpcId: ticket.rpcId,
    facts,
    opening,
    ending: undefined,
  };
}

/** Tickets are for the gateway alone; a new instance never sent the events of the old one. */
function removedHeaders({ upstreamId, moved }: TicketB): string[] {
  const removed = [...REBOUND_REMOVES];
  if (!upstreamId) removed.push('mcp-session-id');
  if (moved) removed.push('last-event-id');
  return removed;
}

function isFor(ticket: TicketB, request: GatewayRequest): boolean {
  return (
    ticket.requestId === request.id &&
    ticket.method === request.method &&
    ticket.path === request.path &&
    ticket.authority === request.authority &&
    ticket.scheme === request.scheme
  );
}
