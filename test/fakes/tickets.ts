// Tickets A and B of one imagined request.

import type { BackendName, InstanceId, SealedSessionId, TenantId, UpstreamSessionId } from '../../src/core/ids.ts';
import type { TicketA, TicketB } from '../../src/session/ticket.ts';

export function ticketOf(over: Partial<TicketB> = {}): { a: TicketA; b: TicketB } {
  const a: TicketA = {
    requestId: 'r1',
    method: 'POST',
    path: '/adapters/memory/mcp?x=1',
    authority: 'localhost:8080',
    scheme: 'http',
    kind: 'session',
    backend: 'memory' as BackendName,
    caller: { issuer: 'local', subject: 'local', tenant: 'default' as TenantId, roles: ['dev'] },
    sessionId: 'sealed-1' as SealedSessionId,
    tried: 'i1' as InstanceId,
    charged: false,
    rpcId: 7,
    facts: { backend: 'memory', method: 'tools/call' },
    ...over,
  };
  return { a, b: { ...a, instance: 'i2' as InstanceId, address: '127.0.0.1:2', upstreamId: 'up-2' as UpstreamSessionId, ...over } };
}
