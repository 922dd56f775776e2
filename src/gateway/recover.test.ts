// Recovery, rule by rule (design: "Recovery"), with a fake server in place of the instances.

import { pino } from 'pino';
import { describe, expect, test, vi } from 'vitest';
import { backendOf, directoryOf, instanceOf } from '../../test/fakes/backends.ts';
import { binding, grantOf, recordOf, sessionKey } from '../../test/fakes/sessions.ts';
import type { BackendName, InstanceId, TenantId, UpstreamSessionId } from '../core/ids.ts';
import { peek, type RpcMessage } from '../core/rpc-peek.ts';
import { createBalancer } from '../directory/balancer.ts';
import { createMemoryStore } from '../session/memory-store.ts';
import { NO_INSTANCE, type SessionRecord } from '../session/store.ts';
import { createParking } from './parking.ts';
import { createRecovery, type LostRequest } from './recover.ts';
import type { Reopener, SessionTarget } from './reopen.ts';
import { UpstreamUnreachable } from './upstream.ts';

const key = sessionKey('a');
const memory = 'memory' as BackendName;
const log = pino({ level: 'silent' });

function messageOf(text: string): RpcMessage {
  const seen = peek(Buffer.from(text), { complete: true });
  if (seen.kind !== 'single') throw new Error(seen.kind);
  return seen.message;
}
const call = messageOf('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}');

interface Options {
  readonly record?: Partial<SessionRecord> | null;
  readonly alive?: boolean;
  readonly reopen?: (target: SessionTarget) => Promise<string>;
  readonly backend?: ReturnType<typeof backendOf>;
}

function world({ record = {}, alive = false, reopen, backend = backendOf() }: Options = {}) {
  const store = createMemoryStore({ initial: record ? [recordOf(record)] : [] });
  const directory = directoryOf(backend);
  const opened: string[] = [];
  const abandoned: string[] = [];
  const pinged: string[] = [];
  const reopener: Reopener = {
    async alive({ instance }, upstreamId) {
      pinged.push(`${instance.id} ${upstreamId}`);
      return alive;
    },
    async reopen(target) {
      const upstreamId = reopen ? await reopen(target) : `new-${opened.length + 1}`;
      opened.push(`${target.instance.id} ${upstreamId}`);
      return { upstreamId: upstreamId as UpstreamSessionId, warnings: [] };
    },
    async abandon(_, upstreamId) {
      abandoned.push(upstreamId);
    },
  };
  const parking = createParking(directory);
  const balancer = createBalancer();
  const recovery = createRecovery({ store, directory, balancer, parking, reopener, log });
  const request = (over: Partial<LostRequest> = {}): LostRequest => ({
    method: 'POST',
    messages: [call],
    backend,
    grant: grantOf(),
    protocolVersion: undefined,
    caller: { issuer: 'local', subject: 'local', tenant: 'default' as TenantId, roles: [] },
    authority: 'localhost',
    tried: binding('i1', 'up-1'),
    ...over,
  });
  return { store, directory, balancer, recovery, request, opened, abandoned, pinged };
}

describe('a session that was taken for lost', () => {
  test('is left alone when it answers a ping', async () => {
    const { recovery, request, opened, pinged } = world({ alive: true });
    expect(await recovery.recover(request())).toMatchObject({
      kind: 'same',
      instance: { id: 'i1' },
      binding: { generation: 0, upstreamId: 'up-1' },
    });
    expect(pinged).toEqual(['i1 up-1']);
    expect(opened).toEqual([]);
  });

  test('is opened again when it does not, on another instance', async () => {
    const { recovery, request, opened, store } = world();
    expect(await recovery.recover(request())).toMatchObject({
      kind: 'bound',
      instance: { id: 'i2' },
      binding: { generation: 1, upstreamId: 'new-1' },
    });
    expect(opened).toEqual(['i2 new-1']);
    expect((await store.read(key))?.binding).toEqual({ generation: 1, ...binding('i2', 'new-1') });
  });

  test('on the same instance when there is no other: it was restarted on its port', async () => {
    const { recovery, request, opened } = world({ backend: backendOf({ instances: [instanceOf('i1')] }) });
    await recovery.recover(request());
    expect(opened).toEqual(['i1 new-1']);
  });

  test('is not pinged when its instance is gone', async () => {
    const { recovery, request, pinged, opened } = world({ backend: backendOf({ instances: [instanceOf('i2')] }) });
    await recovery.recover(request({ tried: undefined }));
    expect([pinged, opened]).toEqual([[], ['i2 new-1']]);
  });

  test('has been found by somebody else: the request goes where it lives now, without a ping', async () => {
    const { recovery, request, pinged, opened } = world({ record: { binding: { generation: 1, ...binding('i2', 'up-2') } } });
    expect(await recovery.recover(request())).toMatchObject({ kind: 'bound', instance: { id: 'i2' }, binding: { generation: 1 } });
    expect([pinged, opened]).toEqual([[], []]);
  });

  test('was ended for idleness: its return opens it', async () => {
    const { recovery, request, opened } = world({ record: { binding: { generation: 1, ...binding(NO_INSTANCE, 'up-1') } } });
    expect(await recovery.recover(request({ tried: undefined }))).toMatchObject({ kind: 'bound', binding: { generation: 2 } });
    expect(opened).toHaveLength(1);
  });
});

describe('not opened again', () => {
  test.each(['ending', 'ended'] as const)('a session that is %s', async (end) => {
    const { recovery, request, opened } = world({ record: { end } });
    expect(await recovery.recover(request())).toEqual({ kind: 'not-found' });
    expect(await recovery.recover(request({ method: 'DELETE', messages: [] }))).toEqual({ kind: 'ended' });
    expect(opened).toEqual([]);
  });

  test('the DELETE of a lost session: it is ended', async () => {
    const { recovery, request, opened, store } = world();
    expect(await recovery.recover(request({ method: 'DELETE', messages: [] }))).toEqual({ kind: 'ended' });
    expect((await store.read(key))?.end).toBe('ended');
    expect(opened).toEqual([]);
  });

  test('the DELETE of a live one goes to it', async () => {
    const { recovery, request } = world({ alive: true });
    expect(await recovery.recover(request({ method: 'DELETE', messages: [] }))).toMatchObject({ kind: 'same' });
  });

  test.each([
    '{"jsonrpc":"2.0","id":1,"result":{}}',
    '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}',
    '{"jsonrpc":"2.0","method":"notifications/initialized"}',
    '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}',
    '{"jsonrpc":"2.0","method":"notifications/progress","params":{}}',
  ])('for what belongs to the old one: %s', async (text) => {
    const { recovery, request, opened } = world();
    expect(await recovery.recover(request({ messages: [messageOf(text)] }))).toEqual({ kind: 'dropped' });
    expect(opened).toEqual([]);
  });

  test('but for a batch that also asks for something, and for other notifications', async () => {
    const { recovery, request } = world();
    const answer = messageOf('{"jsonrpc":"2.0","id":1,"result":{}}');
    expect(await recovery.recover(request({ messages: [answer, call] }))).toMatchObject({ kind: 'bound' });
    const roots = messageOf('{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}');
    expect(await world().recovery.recover(request({ messages: [roots] }))).toMatchObject({ kind: 'bound' });
  });

  test.each([
    ['recovery: fail', { backend: backendOf({ sessions: { recovery: 'fail', idleTimeoutMs: 1, maxAgeMs: 1 } }) }],
    ['params that were too large to keep', { record: { initialize: '' } }],
    ['no record', { record: null }],
    ['a record that has expired', { record: { expiresAt: 1 } }],
  ])('%s', async (_, options) => {
    const { recovery, request, opened } = world(options as Options);
    expect(await recovery.recover(request())).toEqual({ kind: 'not-found' });
    expect(opened).toEqual([]);
  });

  test('without a record, but alive: the same', async () => {
    const { recovery, request } = world({ record: null, alive: true });
    expect(await recovery.recover(request())).toMatchObject({ kind: 'same', instance: { id: 'i1' } });
    expect(await recovery.recover(request({ tried: undefined }))).toEqual({ kind: 'not-found' });
  });
});

describe('many requests of one lost session', () => {
  test('make one new session, also when they come over two sidecars', async () => {
    const { recovery, request, opened, store, directory } = world();
    const second = createRecovery({
      store,
      directory,
      balancer: createBalancer(),
      parking: createParking(directory),
      reopener: {
        alive: async () => false,
        reopen: async ({ instance }) => {
          opened.push(`${instance.id} other`);
          return { upstreamId: 'other' as UpstreamSessionId, warnings: [] };
        },
        abandon: async () => {},
      },
      log,
    });
    const outcomes = await Promise.all(Array.from({ length: 40 }, (_, n) => (n % 2 ? recovery : second).recover(request())));
    expect(opened).toHaveLength(1);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ kind: 'bound', binding: { generation: 1 } });
  });

  test('ping it once', async () => {
    const { recovery, request, pinged } = world({ alive: true });
    await Promise.all(Array.from({ length: 20 }, () => recovery.recover(request())));
    expect(pinged).toHaveLength(1);
  });

  test('a later loss is a recovery of its own', async () => {
    const { recovery, request, opened } = world();
    await recovery.recover(request());
    await recovery.recover(request({ tried: binding('i2', 'new-1') }));
    expect(opened).toEqual(['i2 new-1', 'i1 new-2']);
  });
});

describe('an instance that does not take it', () => {
  test('gives way to another', async () => {
    const { recovery, request, opened } = world({
      backend: backendOf({ instances: ['i1', 'i2', 'i3'].map((id) => instanceOf(id)) }),
      reopen: async ({ instance }) => {
        if (instance.id === 'i2') throw new UpstreamUnreachable('refused', 'x');
        return 'fresh';
      },
    });
    expect(await recovery.recover(request({ tried: binding('i1', 'up-1') }))).toMatchObject({
      kind: 'bound',
      binding: { upstreamId: 'fresh' },
    });
    expect(opened).toHaveLength(1);
  });

  test('when all refuse, the client may try again', async () => {
    const reopen = vi.fn<() => Promise<string>>(async () => Promise.reject(new Error('HTTP 500')));
    const { recovery, request, store } = world({ reopen });
    expect(await recovery.recover(request())).toEqual({ kind: 'unavailable', code: 'recovery_failed' });
    expect(reopen).toHaveBeenCalledTimes(3);
    expect((await store.read(key))?.binding.generation).toBe(0);
    expect(await store.lock(key, AbortSignal.timeout(1_000))).toBeTypeOf('function');
  });

  test('has just died and is still listed: recovery waits for its successor', async () => {
    const { recovery, request, directory } = world({
      backend: backendOf({ instances: [instanceOf('i1')] }),
      reopen: async ({ instance }) => {
        if (instance.id === 'i1') {
          setImmediate(() => {
            directory.putInstances(memory, []);
            setImmediate(() => directory.putInstances(memory, [instanceOf('i7')]));
          });
          throw new UpstreamUnreachable('refused', 'x');
        }
        return 'fresh';
      },
    });
    expect(await recovery.recover(request())).toMatchObject({ kind: 'bound', instance: { id: 'i7' } });
  });

  test('restarts at the same address: it is asked again and again, and takes the session as soon as it can', async () => {
    let refusals = 6;
    const { recovery, request } = world({
      backend: backendOf({ instances: [instanceOf('i1'), instanceOf('i2')] }),
      reopen: async () => {
        if (refusals === 0) return 'fresh';
        refusals -= 1;
        throw new UpstreamUnreachable('refused', 'x');
      },
    });
    const began = performance.now();
    expect(await recovery.recover(request())).toMatchObject({ kind: 'bound', binding: { upstreamId: 'fresh' } });
    // Both had been asked before each pause, or this would be a flood.
    expect(performance.now() - began).toBeGreaterThan(50 + 100);
  });

  test('is not asked again before all have been, also one that is under suspicion and has more sessions', async () => {
    let asked = 0;
    const { recovery, request, balancer } = world({
      backend: backendOf({ instances: ['i1', 'i2', 'i3'].map((id) => instanceOf(id)) }),
      reopen: async ({ instance }) => {
        asked += 1;
        if (instance.id === 'i3') return 'fresh';
        throw new UpstreamUnreachable('refused', 'x');
      },
    });
    balancer.suspect('i3' as InstanceId);
    balancer.report(new Map([['i3' as InstanceId, 8]]));
    expect(await recovery.recover(request())).toMatchObject({ kind: 'bound', instance: { id: 'i3' } });
    expect(asked).toBeLessThanOrEqual(3);
  });

  test('nobody is there in time', async () => {
    const { recovery, request } = world({ backend: backendOf({ instances: [], startTimeoutMs: 1 }) });
    expect(await recovery.recover(request())).toEqual({ kind: 'unavailable', code: 'no_instance' });
  });
});

describe('while a session is being opened again', () => {
  test('its client ends it: no request gets through, and the new upstream session is ended', async () => {
    const { recovery, request, abandoned, store } = world({
      reopen: async () => {
        await store.end(key, 'ending');
        return 'fresh';
      },
    });
    expect(await recovery.recover(request())).toEqual({ kind: 'not-found' });
    expect(abandoned).toEqual(['fresh']);
    await store.end(key, 'ended');
    expect(await recovery.recover(request())).toEqual({ kind: 'not-found' });
  });

  test('the sweep of idle sessions takes it: it is opened once more, and nothing is left behind', async () => {
    let turn = 0;
    const { recovery, request, abandoned, store } = world({
      reopen: async () => {
        turn += 1;
        if (turn === 1) await store.rebind(key, 0, { instance: NO_INSTANCE, upstreamId: 'up-1' as UpstreamSessionId });
        return `fresh-${turn}`;
      },
    });
    const outcome = await recovery.recover(request());
    expect(outcome).toMatchObject({ kind: 'bound', binding: { generation: 2, upstreamId: 'fresh-2' } });
    expect((await store.read(key))?.binding).toEqual((outcome as { binding: unknown }).binding);
    expect(abandoned).toEqual(['fresh-1']);
  });
});

test('a recovered GET stream is the first one: the next event id is the new instance’s own', async () => {
  const { recovery, request, store } = world();
  await recovery.recover(request({ method: 'GET', messages: [] }));
  expect(await store.claimStream(key)).toBe(false);
  await recovery.recover(request({ tried: binding('i2', 'new-1') }));
  expect(await store.claimStream(key)).toBe(true);
});

test('a store that is gone is an answer, not an exception', async () => {
  const { recovery, request, store } = world();
  vi.spyOn(store, 'read').mockRejectedValue(new Error('gone'));
  expect(await recovery.recover(request())).toEqual({ kind: 'unavailable', code: 'recovery_failed' });
});

test('the lock of a recovery under way is waited for', async () => {
  const { recovery, request, store, opened } = world();
  const release = await store.lock(key, AbortSignal.timeout(5_000));
  const outcome = recovery.recover(request());
  await store.rebind(key, 0, { instance: 'i2' as InstanceId, upstreamId: 'theirs' as UpstreamSessionId });
  release();
  expect(await outcome).toMatchObject({ kind: 'bound', binding: { upstreamId: 'theirs', generation: 1 } });
  expect(opened).toEqual([]);
});
