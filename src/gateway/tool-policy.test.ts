// Lists under a rule: read by the sidecar, filtered, and never passed on when they could not be understood.

import { describe, expect, test } from 'vitest';
import { backendOf, instanceOf } from '../../test/fakes/backends.ts';
import { type DecisionOptions, decisionWorld, rpcOf, summary } from '../../test/fakes/decision.ts';
import { type RequestOptions, requestOf } from '../../test/fakes/requests.ts';
import { binding } from '../../test/fakes/sessions.ts';
import { UpstreamUnreachable } from './upstream.ts';

const list = '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}';
const tools = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read","n":9007199254740993},{"name":"drop"}],"cacheScope":"public"}}';
const backends = [backendOf({ tools: { allow: ['*'], deny: ['drop*'] } })];
const json = {
  headers: {
    'content-type': 'application/json',
    'mcp-session-id': 'up-1',
    'x-mcp-subject': 'local',
    'content-length': '9',
    'x-own': 'kept',
  },
  body: Buffer.from(tools),
};

const ask = async (call: DecisionOptions['call'], request: RequestOptions = {}, options: Partial<DecisionOptions> = {}) => {
  const world = decisionWorld({ backends, ...(call ? { call } : {}), ...options });
  return { world, decision: await world.authorize(requestOf({ body: list, ...request })) };
};

describe('a list', () => {
  test('loses what the caller may not see, and nothing else', async () => {
    const { decision, world } = await ask(() => json);
    expect(decision).toMatchObject({ kind: 'answer', status: 200 });
    expect(String(decision.kind === 'answer' && decision.body)).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read","n":9007199254740993}],"cacheScope":"public"}}',
    );
    expect(world.called[0]).toMatchObject({ method: 'POST', body: Buffer.from(list), headers: { 'x-mcp-subject': 'local' } });
    expect(world.called[0]?.headers).not.toHaveProperty('authorization');
  });

  test('has the server’s headers, but not those of the old body or of ours', async () => {
    const { decision } = await ask(() => json);
    expect(decision.kind === 'answer' && decision.headers).toEqual([
      ['content-type', 'application/json'],
      ['x-own', 'kept'],
    ]);
  });

  test('of a modern client becomes private', async () => {
    const body =
      '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}';
    const { decision } = await ask(() => json, { body, headers: { protocolVersion: '2026-07-28', mcpMethod: 'tools/list' } });
    expect(rpcOf(decision)).toMatchObject({ result: { cacheScope: 'private' } });
  });

  test('in an event stream is filtered event by event', async () => {
    const stream = `: hi\nid: 1\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\nid: 2\ndata: ${tools}\n\n`;
    const { decision } = await ask(() => ({ headers: { 'content-type': 'text/event-stream' }, body: Buffer.from(stream) }));
    const text = String(decision.kind === 'answer' && decision.body);
    expect(text).toContain(': hi\ndata:');
    // From an id the server would give again what was taken out.
    expect(text).not.toContain('id: 1');
    expect(text).toContain('"read"');
    expect(text).not.toContain('drop');
  });

  test.each([
    ['no JSON', '<html>drop</html>'],
    ['a key twice', '{"id":1,"result":{"tools":[],"tools":[{"name":"drop"}]}}'],
    ['a tool without a name', '{"id":1,"result":{"tools":[{"title":"drop"}]}}'],
  ])('that could hide something (%s) is not passed on', async (_, body) => {
    const { decision } = await ask(() => ({ body: Buffer.from(body) }));
    expect(summary(decision)).toBe('502 list_unavailable');
    expect(String(decision.kind === 'answer' && decision.body)).not.toContain('drop');
  });

  test.each([400, 401, 405, 500])('that the server refuses with HTTP %i is its own answer', async (status) => {
    const { decision } = await ask(() => ({ status, body: Buffer.from('its own words') }));
    expect(decision).toMatchObject({ kind: 'answer', status, body: Buffer.from('its own words') });
  });
});

test('an instance that cannot be reached gives way to another, once', async () => {
  const refused = new UpstreamUnreachable('refused', 'x');
  let calls = 0;
  const { decision, world } = await ask(() => {
    calls += 1;
    return calls === 1 ? refused : json;
  });
  expect(summary(decision)).toBe('200');
  expect(world.called.map(({ instance }) => instance.id).toSorted()).toEqual(['i1', 'i2']);
  expect(summary((await ask(() => refused)).decision)).toBe('502 list_unavailable');
});

describe('in a session', () => {
  const inSession = async (call: DecisionOptions['call'], options: Partial<DecisionOptions> = {}) => {
    const world = decisionWorld({ backends, ...(call ? { call } : {}), ...options });
    const sessionId = world.sessionId();
    const decision = await world.authorize(requestOf({ body: list, headers: { sessionId } }));
    return { world, decision, sessionId };
  };

  test('it is read under the upstream’s id and given back under the client’s', async () => {
    const { world, decision, sessionId } = await inSession(() => json);
    expect(world.called[0]?.headers['mcp-session-id']).toBe('up-1');
    expect(decision.kind === 'answer' && new Map(decision.headers).get('mcp-session-id')).toBe(sessionId);
  });

  test.each([
    ['answers 404', { status: 404 }],
    ['is gone', new UpstreamUnreachable('refused', 'x')],
  ])('an instance that %s: recovered, and read from the new one', async (_, first) => {
    let calls = 0;
    const { world, decision } = await inSession(
      () => {
        calls += 1;
        return calls === 1 ? first : json;
      },
      { recover: () => ({ kind: 'bound', instance: instanceOf('i2'), binding: { generation: 1, ...binding('i2', 'up-2') } }) },
    );
    expect(summary(decision)).toBe('200');
    expect(world.called[1]).toMatchObject({ instance: { id: 'i2' }, headers: { 'mcp-session-id': 'up-2' } });
  });

  // The session lives and the server says 404 to its list: asking again and again would change nothing.
  test('a live session whose server has no list: its 404 is the answer', async () => {
    const { world, decision } = await inSession(() => ({ status: 404, body: Buffer.from('no lists here') }), {
      recover: () => ({ kind: 'same', instance: instanceOf('i1'), binding: { generation: 0, ...binding('i1', 'up-1') } }),
    });
    expect(decision).toMatchObject({ status: 404, body: Buffer.from('no lists here') });
    expect([world.called.length, world.recovered.length]).toEqual([2, 1]);
  });
});

test('without a rule the list streams through Envoy', async () => {
  const { decision, world } = await ask(() => json, {}, { backends: [backendOf()] });
  expect(decision.kind).toBe('forward');
  expect(world.called).toEqual([]);
});
