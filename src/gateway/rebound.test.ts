// Pass 2: a ticket B is good for one request, and every field of it is compared.

import { describe, expect, test } from 'vitest';
import { backendOf, directoryOf } from '../../test/fakes/backends.ts';
import { tenantPolicyOf } from '../../test/fakes/callers.ts';
import { asForward, summary } from '../../test/fakes/decision.ts';
import { type RequestOptions, requestOf } from '../../test/fakes/requests.ts';
import { testSealer } from '../../test/fakes/sessions.ts';
import { ticketOf } from '../../test/fakes/tickets.ts';
import type { BackendName } from '../core/ids.ts';
import { sealTicketA, sealTicketB, TICKET_LIFETIME_MS, type TicketB } from '../session/ticket.ts';
import { acceptRebound } from './rebound.ts';

const sealer = testSealer();
const snapshot = directoryOf(backendOf(), backendOf({ name: 'far', remote: { authority: 'far.example', tls: true } })).snapshot();
const base: RequestOptions = { id: 'r1', path: '/adapters/memory/mcp?x=1', authority: 'localhost:8080', scheme: 'http' };

function accept(ticket: Partial<TicketB> = {}, request: RequestOptions = {}, now = 0) {
  const rebound = sealTicketB(sealer, ticketOf(ticket).b, 0);
  return acceptRebound(requestOf({ ...base, ...request, headers: { rebound, ...request.headers } }), snapshot, sealer, now);
}

test('goes to the new instance, as the caller of pass 1', () => {
  const decision = asForward(accept());
  expect(decision).toMatchObject({
    way: 'session',
    pass: 2,
    tls: false,
    upstream: '127.0.0.1:2',
    path: '/mcp?x=1',
    sessionId: 'sealed-1',
    rpcId: 7,
  });
  const set = new Map(decision.set);
  expect([set.get('mcp-session-id'), set.get('x-mcp-subject'), set.get('x-mcp-roles')]).toEqual(['up-2', 'local', 'dev']);
  expect(decision.remove).toEqual(expect.arrayContaining(['authorization', 'cookie', 'x-mcp-ticket', 'x-mcp-rebound']));
});

test('says where the quotas stand, as recovery found them', () => {
  const rateLimit = [['ratelimit', '"tenant-1m";r=3;t=7']] as const;
  expect(asForward(accept({ rateLimit })).rateLimit).toEqual(rateLimit);
  expect(asForward(accept()).rateLimit).toBeUndefined();
});

describe('refused', () => {
  test.each<[string, RequestOptions]>([
    ['another request', { id: 'r2' }],
    ['another method', { method: 'DELETE' }],
    ['another path', { path: '/adapters/memory/mcp?x=2' }],
    ['another backend', { path: '/adapters/far/mcp?x=1' }],
    ['another authority', { authority: 'localhost:8081' }],
    ['another scheme', { scheme: 'https' }],
    ['no ticket', { headers: { rebound: '' } }],
    ['junk', { headers: { rebound: 'junk' } }],
    ['ticket A, which pods see', { headers: { rebound: sealTicketA(sealer, ticketOf().a, 0) } }],
  ])('%s', (_, request) => expect(summary(accept({}, request))).toBe('404 session_not_found'));

  test('a ticket that is too old', () => {
    expect(accept({}, {}, TICKET_LIFETIME_MS).kind).toBe('forward');
    expect(summary(accept({}, {}, TICKET_LIFETIME_MS + 1))).toBe('404 session_not_found');
  });

  test('a backend that has been removed since', () => {
    expect(summary(accept({ backend: 'gone' as BackendName }))).toBe('404 unknown_backend');
  });
});

test('the old instance’s event ids stay behind when the session has moved, and only then', () => {
  expect(asForward(accept({ moved: true })).remove).toContain('last-event-id');
  expect(asForward(accept({ moved: false })).remove).not.toContain('last-event-id');
  expect([accept({ moved: true }).facts.recovered, accept({ moved: false }).facts.recovered]).toEqual([true, false]);
});

test('a new session that has no id carries none', () => {
  const decision = asForward(accept({ upstreamId: undefined }));
  expect(decision.remove).toContain('mcp-session-id');
  expect(decision.set.map(([name]) => name)).not.toContain('mcp-session-id');
});

describe('what the tenant lent in pass 1', () => {
  const directory = directoryOf(backendOf());
  directory.putTenants([tenantPolicyOf({ name: 'default', limits: { sessions: 5, concurrentRequests: 5 } })]);
  const body = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}';
  const leased = (ticket: Partial<TicketB>) => {
    const rebound = sealTicketB(sealer, ticketOf(ticket).b, 0);
    const { leased: tenant, opening } = asForward(
      acceptRebound(requestOf({ ...base, body, headers: { rebound } }), directory.snapshot(), sealer, 0),
    );
    return [tenant, opening?.slot];
  };

  test('is held until the end of this one; what nobody asked for is not', () => {
    expect(leased({ charged: true })).toEqual(['default', undefined]);
    expect(leased({ charged: true, kind: 'initialize', sessionId: undefined })).toEqual(['default', 'r1']);
    // A GET stream that came back: it never held a place, and must not take one while it is open.
    expect(leased({ charged: false })).toEqual([undefined, undefined]);
  });
});

test('an initialize that was re-picked is sealed for the instance that answers it', () => {
  const body = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"a":1}}';
  const decision = asForward(accept({ kind: 'initialize', sessionId: undefined, upstreamId: undefined }, { body }));
  expect(decision).toMatchObject({
    way: 'initialize',
    pass: 2,
    opening: { backend: 'memory', instance: 'i2', subject: 'local', params: '{"a":1}', stateless: false },
  });
});

test('a server that is reached by TLS gets its own Host', () => {
  const path = '/adapters/far/mcp';
  expect(accept({ backend: 'far' as BackendName, path }, { path })).toMatchObject({ tls: true, authority: 'far.example' });
});

describe('the secret of a server elsewhere', () => {
  const path = '/adapters/far/mcp';
  const secret = (header: string, secretHeader: string | undefined) => {
    const far = backendOf({ name: 'far', remote: { authority: 'far.example', tls: true, auth: { header, value: 'v' } } });
    const rebound = sealTicketB(sealer, ticketOf({ backend: far.name, path, secretHeader }).b, 0);
    return asForward(acceptRebound(requestOf({ ...base, path, headers: { rebound } }), directoryOf(far).snapshot(), sealer, 0));
  };

  test('is set again, and stays', () => {
    const { set, remove } = secret('authorization', 'authorization');
    expect(new Map(set).get('authorization')).toBe('v');
    expect(remove).not.toContain('authorization');
    expect(remove).toContain('cookie');
  });

  test('that pass 1 has set in another header is taken off', () => {
    expect(secret('authorization', 'x-old').remove).toContain('x-old');
    expect(secret('x-new', 'authorization').remove).toContain('authorization');
    expect(asForward(accept({ secretHeader: 'x-old' })).remove).toContain('x-old');
  });
});
