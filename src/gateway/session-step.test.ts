// Requests of a session: whose it is, where it lives, and what happens before they go there.

import { describe, expect, test, vi } from 'vitest';
import { backendOf, instanceOf } from '../../test/fakes/backends.ts';
import { asForward, type DecisionOptions, decisionWorld, NOW, rpcOf, summary } from '../../test/fakes/decision.ts';
import { type RequestOptions, requestOf } from '../../test/fakes/requests.ts';
import { binding, grantOf, recordOf, ringKey, sessionKey } from '../../test/fakes/sessions.ts';
import { localCaller } from '../identity/principal.ts';
import { createKeyRing } from '../session/key-ring.ts';
import { createMemoryStore } from '../session/memory-store.ts';
import { createSealer } from '../session/seal.ts';
import { sealSessionId } from '../session/session-id.ts';
import type { SessionFeed } from '../session/store.ts';
import type { RecoverOutcome } from './recover.ts';

const key = sessionKey('a');
const ping = '{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}';
const initialize = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}';
const NOT_FOUND = '{"jsonrpc":"2.0","id":9007199254740993,"error":{"code":-32001,"message":"Session not found"}}';

type World = ReturnType<typeof decisionWorld>;

async function send(world: World, request: RequestOptions = {}, sessionId: string = world.sessionId()) {
  return world.authorize(
    requestOf({ body: request.method && request.method !== 'POST' ? '' : ping, ...request, headers: { sessionId, ...request.headers } }),
  );
}
const ask = (request: RequestOptions = {}, options: DecisionOptions = {}) => send(decisionWorld(options), request);

test('a session’s request goes to its instance, under the upstream’s own id', async () => {
  const world = decisionWorld();
  const decision = asForward(await send(world));
  expect(summary(decision)).toBe('session-1 127.0.0.1:1');
  expect(new Map(decision.set).get('mcp-session-id')).toBe('up-1');
  expect(decision.remove).toEqual(['authorization', 'proxy-authorization', 'cookie']);
  expect(world.used).toEqual([key]);
});

test('the client sees its own id, and only that', async () => {
  const world = decisionWorld();
  const id = world.sessionId();
  expect(asForward(await send(world, {}, id)).sessionId).toBe(id);
});

describe('one answer for every id that is not the caller’s', () => {
  test.each<[string, (world: World) => string]>([
    ['junk', () => 'junk'],
    ['cut', (world) => world.sessionId().slice(0, -1)],
    ['lengthened', (world) => `${world.sessionId()}A`],
    ['another backend’s', (world) => world.sessionId({ backend: 'other' })],
    ['someone else’s', (world) => world.sessionId({ caller: Buffer.alloc(32, 1) })],
    ['expired', (world) => world.sessionId({ issuedAt: (NOW - 3_600_000) / 1000 })],
    [
      'of a key that was never ours',
      () => sealSessionId(createSealer(createKeyRing([ringKey('0000000f')])), grantOf({ caller: localCaller.hash, issuedAt: NOW / 1000 })),
    ],
  ])('%s', async (_, idOf) => {
    const world = decisionWorld();
    const decision = await send(world, {}, idOf(world));
    expect(decision).toMatchObject({ kind: 'answer', status: 404, body: NOT_FOUND });
    expect(world.recovered).toEqual([]);
    expect(world.used).toEqual([]);
  });

  test('an id one second before its end is good', async () => {
    const world = decisionWorld();
    expect(summary(await send(world, {}, world.sessionId({ issuedAt: NOW / 1000 - 3_599 })))).toBe('session-1 127.0.0.1:1');
  });
});

test('initialize with a session id is refused, as the SDK does', async () => {
  const decision = await ask({ body: initialize });
  expect(summary(decision)).toBe('400 session_with_initialize');
});

describe('a session that has ended', () => {
  test.each(['ending', 'ended'] as const)('(%s) is not found, but its DELETE is done', async (end) => {
    const world = decisionWorld();
    await world.store.end(key, end);
    expect(summary(await send(world))).toBe('404 session_not_found');
    expect(summary(await send(world, { method: 'DELETE' }))).toBe('200');
    expect(world.recovered).toEqual([]);
  });
});

describe('where it lives', () => {
  test('the newer binding before the sealed one', async () => {
    const world = decisionWorld();
    await world.store.rebind(key, 0, binding('i2', 'up-2'));
    const decision = asForward(await send(world));
    expect([decision.upstream, new Map(decision.set).get('mcp-session-id')]).toEqual(['127.0.0.1:2', 'up-2']);
  });

  test('an instance that drains keeps it', async () => {
    expect(summary(await ask({}, { backends: [backendOf({ instances: [instanceOf('i1', 'draining'), instanceOf('i2')] })] }))).toBe(
      'session-1 127.0.0.1:1',
    );
  });

  test('an instance that is gone: recovered at once, and sent to the new one without the old one’s events', async () => {
    const backend = backendOf({ instances: [instanceOf('i2')] });
    const recover = (): RecoverOutcome => ({
      kind: 'bound',
      instance: instanceOf('i2'),
      binding: { generation: 1, ...binding('i2', 'up-2') },
    });
    const world = decisionWorld({ backends: [backend], recover });
    const decision = asForward(await send(world, { method: 'GET', headers: { lastEventId: '5' } }));
    expect(decision).toMatchObject({ upstream: '127.0.0.1:2', facts: { recovered: true } });
    expect(decision.remove).toContain('last-event-id');
    expect(world.recovered).toMatchObject([{ method: 'GET', tried: undefined }]);
  });

  test.each<[RecoverOutcome, string]>([
    [{ kind: 'dropped' }, '202'],
    [{ kind: 'ended' }, '200'],
    [{ kind: 'not-found' }, '404 session_not_found'],
    [{ kind: 'unavailable', code: 'recovery_failed' }, '503 recovery_failed'],
    [{ kind: 'unavailable', code: 'too_many_waiting' }, '503 too_many_waiting'],
  ])('not recovered: %o', async (outcome, expected) => {
    expect(summary(await ask({}, { backends: [backendOf({ instances: [] })], recover: () => outcome }))).toBe(expected);
  });
});

describe('what a client changes is remembered before the server hears of it', () => {
  test.each([
    ['{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug"}}', { level: 'debug' }],
    ['{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"file:///a"}}', { subscriptions: ['file:///a'] }],
    ['{"jsonrpc":"2.0","id":1,"method":"resources/unsubscribe","params":{"uri":"file:///a"}}', { subscriptions: [] }],
    ['{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"file:///a"}}', { subscriptions: [] }],
  ])('%s', async (body, expected) => {
    const world = decisionWorld();
    expect(summary(await send(world, { body }))).toBe('session-1 127.0.0.1:1');
    expect(await world.store.read(key)).toMatchObject(expected);
  });

  test('a store that fails does not fail the request', async () => {
    const world = decisionWorld();
    vi.spyOn(world.store, 'note').mockRejectedValue(new Error('gone'));
    expect(summary(await send(world, { body: '{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"debug"}}' }))).toBe(
      'session-1 127.0.0.1:1',
    );
  });
});

describe('DELETE', () => {
  test('is marked first, and its outcome waited for', async () => {
    const world = decisionWorld();
    expect(asForward(await send(world, { method: 'DELETE' })).ending).toBe(key);
    expect((await world.store.read(key))?.end).toBe('ending');
  });

  test('that cannot be marked is refused: the session could come back', async () => {
    const world = decisionWorld();
    vi.spyOn(world.store, 'end').mockRejectedValue(new Error('gone'));
    expect(summary(await send(world, { method: 'DELETE' }))).toBe('503 state_unavailable');
  });
});

describe('Last-Event-ID', () => {
  const removed = async (world: World) =>
    asForward(await send(world, { method: 'GET', headers: { lastEventId: '5' } })).remove.includes('last-event-id');

  test('passes while the session is where it began', async () => expect(await removed(decisionWorld())).toBe(false));

  test('of a lost instance is dropped, once', async () => {
    const world = decisionWorld();
    await world.store.rebind(key, 0, binding('i2', 'up-2'));
    expect([await removed(world), await removed(world)]).toEqual([true, false]);
  });

  test('of the new instance passes, also when its first stream asked for none', async () => {
    const world = decisionWorld();
    await world.store.rebind(key, 0, binding('i2', 'up-2'));
    await send(world, { method: 'GET' });
    expect(await removed(world)).toBe(false);
  });
});

describe('a body that Envoy cannot send twice', () => {
  const request = { body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","argum', bodyComplete: false };

  test('goes on when the session lives', async () => expect(summary(await ask(request))).toBe('session-1 127.0.0.1:1'));

  test('waits for a recovery when it does not', async () => {
    const recover = (): RecoverOutcome => ({
      kind: 'bound',
      instance: instanceOf('i2'),
      binding: { generation: 1, ...binding('i2', 'up-2') },
    });
    const world = decisionWorld({ alive: false, recover });
    expect(summary(await send(world, request))).toBe('session-1 127.0.0.1:2');
    expect(world.recovered).toMatchObject([{ tried: { instance: 'i1', upstreamId: 'up-1' } }]);
  });
});

describe('when nothing is heard of the store', () => {
  const stale = (over: DecisionOptions['over'] = {}) => {
    const store = createMemoryStore({ now: () => NOW });
    const world = decisionWorld({ over: { feed: { find: () => undefined, revoked: () => false, fresh: () => false }, store, ...over } });
    return { store, world };
  };

  test('it is asked: a tombstone counts that no news told of', async () => {
    const { world, store } = stale();
    await store.create(recordOf());
    expect(summary(await send(world))).toBe('session-1 127.0.0.1:1');
    await store.rebind(key, 0, binding('i2', 'up-2'));
    expect(summary(await send(world))).toBe('session-1 127.0.0.1:2');
    await store.end(key, 'ended');
    expect(summary(await send(world))).toBe('404 session_not_found');
  });

  test('and it knows of a revocation of all that the caller began', async () => {
    const { world, store } = stale();
    await store.create(recordOf());
    vi.spyOn(store, 'revokedBefore').mockResolvedValue(NOW / 1000);
    expect(summary(await send(world))).toBe('404 session_not_found');
    vi.spyOn(store, 'revokedBefore').mockResolvedValue(NOW / 1000 - 60);
    expect(summary(await send(world))).toBe('session-1 127.0.0.1:1');
  });

  test.each<['allow' | 'deny', string]>([
    ['deny', '503 state_unavailable'],
    ['allow', 'session-1 127.0.0.1:1'],
  ])('and it does not answer within 50 ms: %s', async (onRevocationOutage, expected) => {
    vi.useFakeTimers();
    try {
      const { world, store } = stale({ onRevocationOutage });
      vi.spyOn(store, 'read').mockReturnValue(new Promise(() => {}));
      const decision = send(world);
      await vi.advanceTimersByTimeAsync(50);
      expect(summary(await decision)).toBe(expected);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

test('sessions of a revoked caller are not found, whatever they ask', async () => {
  const revoked = vi.fn<SessionFeed['revoked']>((_caller, issuedAt) => issuedAt <= NOW / 1000 - 10);
  const world = decisionWorld({ over: { feed: { find: () => undefined, revoked, fresh: () => true } } });
  for (const method of ['POST', 'GET', 'DELETE']) expect(summary(await send(world, { method }))).toBe('404 session_not_found');
  expect(revoked).toHaveBeenCalledWith(localCaller.hash, NOW / 1000 - 10);
});

test('a backend without affinity and a modern request have no session, whatever id they carry', async () => {
  for (const [options, headers] of [
    [{ backends: [backendOf({ affinity: 'none' })] }, {}],
    [{}, { protocolVersion: '2026-07-28', mcpMethod: 'ping' }],
  ] as const) {
    const world = decisionWorld(options);
    const body =
      'protocolVersion' in headers
        ? '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}'
        : ping;
    const decision = asForward(await send(world, { body, headers }));
    expect(decision.way).toBe('stateless');
    expect(decision.remove).toContain('mcp-session-id');
  }
});

test('tool rules hold in a session too, and only for those who may know of it', async () => {
  const backends = [backendOf({ tools: { allow: ['*'], deny: ['drop'] } })];
  const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop"}}';
  const world = decisionWorld({ backends });
  expect(rpcOf(await send(world, { body }))).toMatchObject({ error: { code: -32602, message: 'Unknown tool: drop' } });
  expect(summary(await send(world, { body }, 'junk'))).toBe('404 session_not_found');
});
