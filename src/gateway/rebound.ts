// Pass 2: a request that recovery has sent round again, authorised by its ticket B and by nothing else.

import { peek } from '../core/rpc-peek.ts';
import { queryOf } from '../core/url-query.ts';
import type { RemotePolicy, Snapshot } from '../directory/snapshot.ts';
import type { Sealer } from '../session/seal.ts';
import { openTicketB, type TicketB } from '../session/ticket.ts';
import { REBOUND_REMOVES, withoutSecret } from './forward.ts';
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
  const auth = backend.remote?.auth;
  if (auth) set.push([auth.header, auth.value]);
  const facts = { ...ticket.facts, instance: ticket.instance, recovered: ticket.moved };
  const initialize = ticket.kind === 'initialize' ? peek(request.body, { complete: request.bodyComplete }) : undefined;
  // What the tenant lent in pass 1 is still lent: it ends with this pass.
  const limits = ticket.charged ? snapshot.tenants.find(({ name }) => name === ticket.caller.tenant)?.limits : undefined;
  const slot = limits?.sessions === undefined ? undefined : request.id;
  const opening =
    initialize?.kind === 'single' ? openingOf(request, initialize.message, backend, ticket.instance, ticket.caller, slot) : undefined;
  return {
    kind: 'forward',
    way: ticket.kind,
    pass: 2,
    tls: backend.remote?.tls ?? false,
    upstream: ticket.address,
    path: backend.path + queryOf(request.path),
    authority: backend.remote?.authority,
    set,
    remove: removedHeaders(ticket, auth),
    sessionId: ticket.sessionId,
    corsOrigin: undefined,
    rpcId: ticket.rpcId,
    facts,
    rateLimit: ticket.rateLimit,
    leased: limits?.concurrentRequests === undefined ? undefined : ticket.caller.tenant,
    opening,
    ending: undefined,
  };
}

/**
 * Tickets are for the gateway alone; a new instance never sent the events of the old one; and the secret of pass 1 is still there, which
 * is another server's when the backend has been declared anew in between.
 */
function removedHeaders({ upstreamId, moved, secretHeader }: TicketB, auth: RemotePolicy['auth']): string[] {
  const removed = [...withoutSecret(REBOUND_REMOVES, auth)];
  if (!upstreamId) removed.push('mcp-session-id');
  if (moved) removed.push('last-event-id');
  if (secretHeader !== undefined && secretHeader !== auth?.header) removed.push(secretHeader);
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
