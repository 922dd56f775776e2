// The decision as a table: era, method and condition in, the way or the refusal out.

import { describe, expect, test, vi } from 'vitest';
import { backendOf, instanceOf } from '../../test/fakes/backends.ts';
import { asForward, type DecisionOptions, decisionWorld, NOW, rpcOf, summary } from '../../test/fakes/decision.ts';
import { type RequestOptions, requestOf } from '../../test/fakes/requests.ts';
import { openTicketA } from '../session/ticket.ts';

const one = backendOf({ instances: [instanceOf('i1')] });
const stateless = backendOf({ affinity: 'none', instances: [instanceOf('i1')] });
const ruled = backendOf({ instances: [instanceOf('i1')], tools: { allow: ['*'], deny: ['drop*'] } });
const modern = { protocolVersion: '2026-07-28' };
const META = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}';
const initialize = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","n":9007199254740993}}';
const call = (name: string, id = '1') => `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}"}}`;
const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

const decide = async (request: RequestOptions, options: DecisionOptions = { backends: [one] }) =>
  decisionWorld(options).authorize(requestOf(request));

describe('a request without a session', () => {
  test.each<[string, RequestOptions, DecisionOptions | undefined, string]>([
    ['initialize', { body: initialize }, undefined, 'initialize-1 127.0.0.1:1'],
    ['initialize, stateless backend', { body: initialize }, { backends: [stateless] }, 'stateless-1 127.0.0.1:1'],
    ['GET before initialize (AI SDK)', { method: 'GET' }, undefined, 'stateless-1 127.0.0.1:1'],
    ['DELETE', { method: 'DELETE' }, undefined, 'stateless-1 127.0.0.1:1'],
    ['ping', { body: ping }, undefined, 'stateless-1 127.0.0.1:1'],
    ['batch', { body: `[${ping},${call('a')}]` }, undefined, 'stateless-1 127.0.0.1:1'],
    ['batch with initialize', { body: `[${initialize}]` }, undefined, '400 invalid_request'],
    ['batch of 51', { body: `[${Array(51).fill(ping).join()}]` }, undefined, '400 invalid_request'],
    ['empty batch', { body: '[]' }, undefined, '400 invalid_request'],
    ['no JSON', { body: '{' }, undefined, '400 parse_error'],
    ['no body', { body: '' }, undefined, '400 invalid_request'],
    ['key twice', { body: '{"method":"ping","m\\u0065thod":"tools/call"}' }, undefined, '400 invalid_request'],
    [
      'modern call',
      {
        headers: { ...modern, mcpMethod: 'tools/call', mcpName: 'a' },
        body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a",${META}}}`,
      },
      undefined,
      'stateless-1 127.0.0.1:1',
    ],
    [
      'modern call, other name',
      {
        headers: { ...modern, mcpMethod: 'tools/call', mcpName: 'b' },
        body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a",${META}}}`,
      },
      undefined,
      '400 header_mismatch',
    ],
    [
      'modern body, legacy header',
      { headers: { protocolVersion: '2025-06-18' }, body: `{"jsonrpc":"2.0","id":1,"method":"ping","params":{${META}}}` },
      undefined,
      '400 header_mismatch',
    ],
    ['tool not allowed', { body: call('drop_all') }, { backends: [ruled] }, '200 tool_not_allowed'],
    ['tool allowed', { body: call('read') }, { backends: [ruled] }, 'stateless-1 127.0.0.1:1'],
    [
      'call without a name',
      { body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}' },
      { backends: [ruled] },
      '200 tool_not_allowed',
    ],
    ['batch with a tool not allowed', { body: `[${call('read')},${call('drop')}]` }, { backends: [ruled] }, '400 invalid_request'],
    ['batch with a list', { body: '[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]' }, { backends: [ruled] }, '400 invalid_request'],
    ['half a body, a rule in force', { body: call('read').slice(0, 30), bodyComplete: false }, { backends: [ruled] }, '413 body_too_large'],
    ['half a body, no rule', { body: call('read').slice(0, 30), bodyComplete: false }, undefined, 'stateless-1 127.0.0.1:1'],
    [
      'initialize with a session id, stateless backend',
      { headers: { sessionId: 'x' }, body: initialize },
      { backends: [stateless] },
      'stateless-1 127.0.0.1:1',
    ],
    ['unknown backend', { path: '/adapters/none/mcp', body: ping }, undefined, '404 unknown_backend'],
    ['PUT', { method: 'PUT' }, undefined, '405 method_not_allowed'],
    ['foreign Host', { authority: 'evil.example', body: ping }, undefined, '403 host_not_allowed'],
    ['foreign Origin', { headers: { origin: 'http://evil.example' }, body: ping }, undefined, '403 origin_not_allowed'],
    ['gzip', { headers: { contentEncoding: 'gzip' }, body: ping }, undefined, '415 unsupported_encoding'],
    ['header twice', { headers: { repeated: true }, body: ping }, undefined, '400 repeated_header'],
    ['forged ticket B', { headers: { rebound: 'AAAA' }, body: ping }, undefined, '404 session_not_found'],
  ])('%s', async (_, request, options, expected) => {
    expect(summary(await decide(request, options))).toBe(expected);
  });
});

test('the first failure wins, in the order of the design', async () => {
  const everything: RequestOptions = {
    authority: 'evil.example',
    method: 'PUT',
    path: '/adapters/none/mcp',
    headers: { origin: 'http://evil.example', repeated: true, contentEncoding: 'gzip' },
    body: '{',
  };
  const fixes: RequestOptions[] = [
    { authority: 'localhost' },
    { headers: { repeated: true, contentEncoding: 'gzip' } },
    { method: 'POST' },
    { headers: { contentEncoding: 'gzip' } },
    { headers: {} },
    { path: '/adapters/memory/mcp' },
    { body: ping },
  ];
  const reasons: string[] = [];
  let request = everything;
  for (const fix of [{}, ...fixes]) {
    request = { ...request, ...fix };
    reasons.push(summary(await decide(request)));
  }
  expect(reasons).toEqual([
    '403 host_not_allowed',
    '403 origin_not_allowed',
    '405 method_not_allowed',
    '400 repeated_header',
    '415 unsupported_encoding',
    '404 unknown_backend',
    '400 parse_error',
    'stateless-1 127.0.0.1:1',
  ]);
});

describe('what goes to the instance', () => {
  test('no token, no cookie, no foreign session id; who is calling, and a ticket', async () => {
    const world = decisionWorld({ backends: [one] });
    const decision = asForward(
      await world.authorize(
        requestOf({ body: initialize, path: '/adapters/memory/mcp?a=%20b', headers: { authorization: 'Bearer secret' } }),
      ),
    );
    expect(decision.remove).toEqual(expect.arrayContaining(['authorization', 'cookie', 'mcp-session-id']));
    expect(decision.path).toBe('/mcp?a=%20b');
    const set = new Map(decision.set);
    expect(set.get('x-mcp-subject')).toBe('local');
    expect(openTicketA(world.sealer, set.get('x-mcp-ticket') ?? '', NOW)).toMatchObject({
      kind: 'initialize',
      tried: 'i1',
      backend: 'memory',
    });
    expect(JSON.stringify(decision)).not.toContain('secret');
    expect(decision.opening?.params).toBe('{"protocolVersion":"2025-06-18","n":9007199254740993}');
  });

  test('only ping and lists may be sent twice', async () => {
    const replayed = async (body: string) => asForward(await decide({ body })).set.some(([name]) => name === 'x-envoy-retry-on');
    expect(await replayed(ping)).toBe(true);
    expect(await replayed('{"jsonrpc":"2.0","id":1,"method":"resources/list"}')).toBe(true);
    expect(await replayed(`[${ping},${ping}]`)).toBe(true);
    expect(await replayed(`[${ping},${call('a')}]`)).toBe(false);
    expect(await replayed(call('a'))).toBe(false);
    expect(await replayed(initialize)).toBe(false);
  });

  test('names and ids of any size stay small in headers and metadata', async () => {
    const decision = asForward(await decide({ body: call('x'.repeat(60_000), `"${'y'.repeat(60_000)}"`) }));
    expect(JSON.stringify({ ...decision, remove: [] }).length).toBeLessThan(3_000);
    const method = asForward(await decide({ body: `{"jsonrpc":"2.0","id":1,"method":"${'m'.repeat(60_000)}"}` }));
    expect(JSON.stringify(method.facts).length).toBeLessThan(500);
  });

  test('an allowed page may read the answer, whatever it is', async () => {
    const origin = 'http://localhost:5173';
    expect(asForward(await decide({ headers: { origin }, body: ping })).corsOrigin).toBe(origin);
    const refused = await decide({ headers: { origin }, body: '{' });
    expect(refused).toMatchObject({ headers: expect.arrayContaining([['access-control-allow-origin', origin]]) });
  });
});

describe('no instance', () => {
  const asleep = (startTimeoutMs: number) => [backendOf({ instances: [], startTimeoutMs })];

  test.each<[string, string, string]>([
    ['a call', call('a'), '200 no_instance'],
    ['another request', ping, '503 no_instance'],
    ['initialize', initialize, '503 no_instance'],
  ])('in time: %s', async (_, body, expected) => {
    expect(summary(await decide({ body }, { backends: asleep(1) }))).toBe(expected);
  });

  test('yet: the request waits, and goes on', async () => {
    const world = decisionWorld({ backends: asleep(50_000) });
    const decision = world.authorize(requestOf({ body: initialize }));
    expect(decision).toBeInstanceOf(Promise);
    world.directory.putInstances(one.name, [instanceOf('i5')]);
    expect(summary(await decision)).toBe('initialize-1 127.0.0.1:5');
  });

  test('and the client has gone: the wait ends', async () => {
    const client = new AbortController();
    const decision = decide({ body: ping, signal: client.signal }, { backends: asleep(50_000) });
    client.abort(new Error('gone'));
    expect(summary(await decision)).toBe('499 client_gone');
  });
});

test('whose rules have changed while the request waited: the new ones count', async () => {
  const world = decisionWorld({ backends: [backendOf({ instances: [] })] });
  const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}}';
  const decision = world.authorize(requestOf({ body: call, headers: { protocolVersion: '2025-11-25' } }));
  world.directory.putBackend(backendOf({ tools: { allow: ['*'], deny: ['drop'] } }));
  world.directory.putInstances(backendOf().name, [instanceOf('i1')]);
  expect(summary(await decision)).toBe('200 tool_not_allowed');
});

describe('an initialize that would open what nobody could use is refused', () => {
  const initialize = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}';
  const decide = (request: Parameters<typeof requestOf>[0], options: DecisionOptions = {}) =>
    decisionWorld(options).authorize(requestOf(request));

  test('under the header of a version without sessions', async () => {
    expect(summary(await decide({ body: initialize, headers: { protocolVersion: '2026-07-28' } }))).toBe('404 initialize_after_sessions');
    expect(summary(await decide({ body: initialize, headers: { protocolVersion: '2025-11-25' } }))).toMatch(/^initialize-1 /);
  });

  test('when it is not known to its end, unless there are no sessions', async () => {
    const cut = { body: initialize.slice(0, -1), bodyComplete: false };
    expect(summary(await decide(cut))).toBe('413 body_too_large');
    expect(summary(await decide(cut, { backends: [backendOf({ affinity: 'none' })] }))).toMatch(/^stateless-1 /);
  });
});

test('a bug is an answer: nothing is thrown, and nothing opens', async () => {
  const identify = vi.fn<() => never>(() => {
    throw new Error('bug');
  });
  const decision = await decide({ body: ping }, { over: { identify } });
  expect(summary(decision)).toBe('500 internal_error');
  expect(rpcOf(decision)).toMatchObject({ error: { code: -32603, message: 'Internal error' } });
});
