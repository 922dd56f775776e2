// Tickets A and B of one imagined request.

import type { BackendName, InstanceId, SealedSessionId, TenantId, UpstreamSessionId } from '../../src/core/ids.ts';
import type { TicketA, TicketB } from '../../src/session/ticket.ts';

export function ticketOf(over: Partial<TicketB> = {}): { a: TicketA; b: TicketB } {
  const a: TicketA = {
    kind: over.kind ?? 'session',
    backend: over.backend ?? ('memory' as BackendName),
    caller: over.caller ?? { issuer: 'local', subject: 'local', tenant: 'default' as TenantId, roles: ['dev'] },
    sessionId: 'sessionId' in over ? over.sessionId : ('sealed-1' as SealedSessionId),
    tried: over.tried ?? ('i1' as InstanceId),
    authority: over.authority ?? 'localhost:8080',
    scheme: over.scheme ?? 'http',
  };
  const b: TicketB = {
    requestId: 'r1',
    method: 'POST',
    path: '/adapters/memory/mcp?x=1',
    moved: true,
    charged: true,
    rateLimit: undefined,
    rpcId: 7,
    facts: { backend: 'memory', method: 'tools/call' },
    instance: 'i2' as InstanceId,
    address: '127.0.0.1:2',
    upstreamId: 'up-2' as UpstreamSessionId,
    ...over,
    ...a,
  };
  return { a, b };
}
