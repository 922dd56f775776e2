// The bytes written by hand say the same as proto-loader's messages, for any decision.

import { fileURLToPath } from 'node:url';
import { loadSync, type MethodDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Answer, Forward } from '../gateway/request.ts';
import { encodeDecision } from './check-response.ts';

const definition = loadSync('envoy/service/auth/v3/external_auth.proto', {
  includeDirs: [fileURLToPath(new URL('../../proto/', import.meta.url))],
  keepCase: true,
  oneofs: true,
  enums: Number,
  arrays: true,
});
const service = definition['envoy.service.auth.v3.Authorization'] as ServiceDefinition;
const check = service['Check'] as MethodDefinition<object, WireResponse>;

interface WireOption {
  readonly header: { readonly key: string; readonly value: string };
  readonly append_action?: number;
}
interface WireResponse {
  readonly status?: { readonly code: number };
  readonly http_response: 'ok_response' | 'denied_response';
  readonly ok_response?: { headers: WireOption[]; headers_to_remove: string[]; response_headers_to_add: WireOption[] };
  readonly denied_response?: { status: { code: number }; headers: WireOption[]; body: Buffer };
  readonly dynamic_metadata: { readonly fields: Record<string, { stringValue?: string; numberValue?: number }> };
}

const decode = (decision: Forward | Answer): WireResponse => check.responseDeserialize(encodeDecision(decision));
const pairs = (options: readonly WireOption[]) =>
  options.map(({ header, append_action }) => [header.key, header.value, append_action ?? 0]);

const text = fc.string({ unit: 'binary', maxLength: 300 }).filter((value) => value.isWellFormed());
const header = fc.tuple(fc.string({ minLength: 1, maxLength: 40 }), text);

describe('a forwarded request', () => {
  const forward = fc.record<Forward>({
    kind: fc.constant('forward' as const),
    way: fc.constantFrom('session', 'initialize', 'stateless'),
    pass: fc.constantFrom(1, 2),
    tls: fc.boolean(),
    upstream: text,
    path: text,
    authority: fc.option(text, { nil: undefined }),
    set: fc.array(header, { maxLength: 8 }),
    remove: fc.array(fc.string({ maxLength: 30 }), { maxLength: 5 }),
    sessionId: fc.option(text, { nil: undefined }),
    corsOrigin: fc.option(text, { nil: undefined }),
    rpcId: fc.option(fc.oneof(text, fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true })), { nil: undefined }),
    facts: fc.record({ backend: text, tool: text }, { requiredKeys: [] }),
    opening: fc.option(
      fc.record({
        ...{ backend: text, instance: text, issuer: text, subject: text, params: text },
        tenant: fc.stringMatching(/^[a-z]{1,50}$/),
        slot: fc.option(text, { nil: undefined }),
        stateless: fc.boolean(),
      }),
      { nil: undefined },
    ),
    ending: fc.option(fc.stringMatching(/^[\w-]{1,22}$/), { nil: undefined }),
    rateLimit: fc.option(fc.array(header, { maxLength: 2 }), { nil: undefined }),
    leased: fc.option(fc.stringMatching(/^[a-z]{1,50}$/), { nil: undefined }),
  });

  test('reads back field by field', () => {
    fc.assert(
      fc.property(forward, (decision) => {
        const wire = decode(decision);
        expect(wire.status).toBeUndefined();
        const expected = [...decision.set.map(([name, value]) => [name, value, 2]), [':path', decision.path, 2]];
        if (decision.authority !== undefined) expected.push([':authority', decision.authority, 2]);
        expect(pairs(wire.ok_response?.headers ?? [])).toEqual(expected);
        expect(wire.ok_response?.headers_to_remove).toEqual(decision.remove);
        const [first] = pairs(wire.ok_response?.response_headers_to_add ?? []);
        if (decision.sessionId !== undefined) expect(first).toEqual(['mcp-session-id', decision.sessionId, 3]);
        const { fields } = wire.dynamic_metadata;
        expect(fields['upstream']?.stringValue).toBe(decision.upstream);
        expect(fields['way']?.stringValue).toBe(`${decision.way}-${decision.pass}${decision.tls ? '-tls' : ''}`);
        expect(JSON.parse(fields['facts']?.stringValue ?? '')).toEqual(JSON.parse(JSON.stringify(decision.facts)));
        const id = fields['rpc_id'];
        const exact = typeof decision.rpcId === 'string' || !Number.isInteger(decision.rpcId) || Number.isSafeInteger(decision.rpcId);
        if (decision.corsOrigin !== undefined) {
          expect(pairs(wire.ok_response?.response_headers_to_add ?? [])).toContainEqual(['vary', 'origin', 0]);
        }
        if (decision.rpcId !== undefined && exact) expect(id?.stringValue ?? id?.numberValue).toBe(decision.rpcId);
        else expect(id).toBeUndefined();
        const added = pairs(wire.ok_response?.response_headers_to_add ?? []);
        for (const [name, value] of decision.rateLimit ?? []) expect(added).toContainEqual([name, value, 2]);
        const opens = decision.opening?.slot === undefined ? undefined : decision.opening.tenant;
        const parts = [decision.ending && `end=${decision.ending}`, decision.leased && `run=${decision.leased}`, opens && `open=${opens}`];
        expect(fields['lease']?.stringValue ?? '').toBe(parts.filter(Boolean).join(' '));
      }),
      { numRuns: 300 },
    );
  });

  test('an id above 2^53 is left out rather than given back changed', () => {
    const [decision] = fc.sample(forward, 1) as [Forward];
    expect(decode({ ...decision, rpcId: 2 ** 53 + 2 }).dynamic_metadata.fields['rpc_id']).toBeUndefined();
  });
});

describe('requests of one session', () => {
  const set: Forward['set'] = [
    ['x-mcp-subject', 'ann'],
    ['mcp-session-id', 'up-1'],
  ];
  const remove = ['authorization'];
  const base: Forward = {
    kind: 'forward',
    way: 'session',
    pass: 1,
    tls: false,
    upstream: '127.0.0.1:1',
    path: '/mcp',
    authority: undefined,
    set,
    remove,
    sessionId: 'sealed',
    corsOrigin: undefined,
    rpcId: 1,
    facts: { backend: 'b', method: 'tools/call', tool: 'one' },
    rateLimit: undefined,
    leased: undefined,
    opening: undefined,
    ending: undefined,
  };

  test('what is written once and used again says the same, and only what differs differs', () => {
    const changes: Partial<Forward>[] = [
      {},
      { rpcId: 'two' },
      { facts: { backend: 'b', method: 'tools/call', tool: 'two' } },
      { facts: { backend: 'b', method: 'tools/call', tool: 'one', recovered: true } },
      { facts: { backend: 'b', method: 'tools/call', tool: 'one', reason: 'x' } },
      { corsOrigin: 'http://localhost' },
      { path: '/mcp?q=1' },
      { upstream: '127.0.0.1:2' },
      { sessionId: 'other' },
      { remove: ['cookie'] },
      { authority: 'remote.example', tls: true },
      { pass: 2 },
      { way: 'stateless', sessionId: undefined },
      { ending: 'key' },
      {},
    ];
    for (const round of [1, 2]) {
      for (const change of changes) {
        const decision = { ...base, ...change };
        // The same decision with fresh arrays is written from scratch.
        const scratch = { ...decision, set: [...set], remove: [...decision.remove] };
        expect(encodeDecision(decision).equals(encodeDecision(scratch)), `${round} ${JSON.stringify(change)}`).toBe(true);
      }
    }
  });
});

describe('an answer', () => {
  test('reads back, whatever its size', () => {
    const answer = fc.record<Answer>({
      kind: fc.constant('answer' as const),
      status: fc.integer({ min: 200, max: 599 }),
      headers: fc.array(header, { maxLength: 8 }),
      body: fc.oneof(
        text,
        fc.uint8Array({ maxLength: 70_000 }).map((bytes) => Buffer.from(bytes)),
      ),
      facts: fc.constant({ reason: 'tool_not_allowed' }),
    });
    fc.assert(
      fc.property(answer, (decision) => {
        const wire = decode(decision);
        expect(wire.status?.code).toBe(7);
        expect(wire.denied_response?.status.code).toBe(decision.status);
        expect(pairs(wire.denied_response?.headers ?? []).map(([name, value]) => [name, value])).toEqual(decision.headers);
        expect(Buffer.compare(wire.denied_response?.body ?? Buffer.alloc(0), Buffer.from(decision.body as string))).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  test('of 6 MB', () => {
    const body = Buffer.alloc(6_000_000, 'x');
    const wire = decode({ kind: 'answer', status: 200, headers: [], body, facts: {} });
    expect(wire.denied_response?.body.length).toBe(body.length);
  });
});

describe('what goes wrong', () => {
  const forward: Forward = {
    kind: 'forward',
    way: 'session',
    pass: 1,
    tls: false,
    upstream: '127.0.0.1:1',
    path: '/mcp',
    authority: undefined,
    set: [['x-mcp-subject', 'ann']],
    remove: [],
    sessionId: undefined,
    corsOrigin: undefined,
    rpcId: undefined,
    facts: {},
    rateLimit: undefined,
    leased: undefined,
    opening: undefined,
    ending: undefined,
  };

  test('in one decision leaves nothing in the next', () => {
    const broken = { ...forward, remove: [undefined as unknown as string] };
    expect(() => encodeDecision(broken)).toThrow(TypeError);
    const next = decode({ kind: 'answer', status: 403, headers: [], body: 'no', facts: {} });
    expect(next.ok_response).toBeUndefined();
    expect(next.denied_response?.status.code).toBe(403);
  });

  test('with an id that metadata cannot give back: it is left out', () => {
    for (const rpcId of [Number('1e400'), Number('-1e400'), 2 ** 53, 'x'.repeat(257)]) {
      expect(decode({ ...forward, rpcId }).dynamic_metadata.fields['rpc_id']).toBeUndefined();
    }
    for (const rpcId of [2 ** 53 - 1, 1.5, 0, '', 'x'.repeat(256)]) {
      const id = decode({ ...forward, rpcId }).dynamic_metadata.fields['rpc_id'];
      expect(id?.stringValue ?? id?.numberValue).toBe(rpcId);
    }
  });
});
