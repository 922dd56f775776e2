// The session store when Redis is slow, gone, restarted or flushed, and when a sidecar dies.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { BackendName, InstanceId } from '../../src/core/ids.ts';
import type { SessionStore } from '../../src/session/store.ts';
import { binding, recordOf, sessionKey } from '../fakes/sessions.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';
import { connectSidecar, type RedisSidecar } from './forms.ts';

const key = sessionKey('a');
const ann = { issuer: 'https://a/', subject: 'ann' };
let server: RedisServer;
let sidecars: RedisSidecar[];

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(async () => {
  await server.flush();
  sidecars = [];
});
afterEach(() => {
  server.resume();
  for (const each of sidecars) each.die();
});

async function sidecar(options: Parameters<typeof connectSidecar>[1] = {}): Promise<RedisSidecar> {
  const connected = connectSidecar(server.url, options);
  sidecars.push(connected);
  await connected.ready;
  return connected;
}

const isFresh = ({ feed }: RedisSidecar) => waitFor('a fresh feed', () => feed.fresh(), { timeoutMs: 5_000 });

/** How long it took until all of them were refused; fails when one was answered. */
async function refusedAfter(store: SessionStore): Promise<number> {
  const began = performance.now();
  const outcomes = await Promise.allSettled([
    store.create(recordOf({ key: sessionKey('new') })),
    store.read(key),
    store.note(key, { kind: 'level', level: 'debug' }),
    store.rebind(key, 0, binding('i9', 'up-9')),
    store.end(key, 'ended'),
    store.claimStream(key),
    store.lock(key, new AbortController().signal),
    store.list({ limit: 1 }),
    store.revokeCaller('ann', ann),
    store.revokedBefore('ann'),
  ]);
  store.used([key]);
  expect(outcomes.map(({ status }) => status)).toEqual(outcomes.map(() => 'rejected'));
  return performance.now() - began;
}

describe('the lock', () => {
  test('of a sidecar that dies is free when its time is over, and not before', async () => {
    const [first, second] = [await sidecar({ lockTtlMs: 1_000 }), await sidecar()];
    const began = performance.now();
    await first.store.lock(key, new AbortController().signal);
    first.die();
    const release = await second.store.lock(key, AbortSignal.timeout(10_000));
    const waited = performance.now() - began;
    release();
    expect(waited).toBeGreaterThan(500);
    expect(waited).toBeLessThan(3_000);
  });

  test('is renewed as long as it is held', async () => {
    const [first, second] = [await sidecar({ lockTtlMs: 1_500 }), await sidecar()];
    const release = await first.store.lock(key, new AbortController().signal);
    await expect(second.store.lock(key, AbortSignal.timeout(4_000))).rejects.toThrow('timeout');
    release();
    (await second.store.lock(key, AbortSignal.timeout(5_000)))();
  });

  test('is not freed by who held it before', async () => {
    const [first, second] = [await sidecar(), await sidecar()];
    const release = await first.store.lock(key, new AbortController().signal);
    await server.ask('del', `mcp:{s}:l:${key}`);
    const other = await second.store.lock(key, AbortSignal.timeout(5_000));
    release();
    await first.store.read(key);
    expect(await server.ask('exists', `mcp:{s}:l:${key}`)).toBe(1);
    other();
  });
});

describe('the feed', () => {
  test('of a sidecar that comes later holds all that counts', async () => {
    const first = await sidecar();
    const keys = Array.from({ length: 1_500 }, (_, n) => sessionKey(`${n}.`));
    await Promise.all(keys.map((of) => first.store.create(recordOf({ key: of }))));
    await Promise.all(keys.map((of) => first.store.rebind(of, 0, binding('i2', 'up-2'))));
    await first.store.create(recordOf());
    await first.store.end(key, 'revoked');
    const revokedAt = Math.floor(Date.now() / 1000);
    await first.store.revokeCaller('ann', ann);
    const { feed } = await sidecar();
    expect(keys.every((of) => feed.find(of)?.binding.instance === 'i2')).toBe(true);
    expect(feed.find(key)?.revoked).toBe(true);
    expect(feed.revoked('ann', revokedAt)).toBe(true);
  });

  test('learns after a lost connection what it has missed', async () => {
    const [first, second] = [await sidecar(), await sidecar()];
    const other = sessionKey('b');
    for (const of of [key, other]) await first.store.create(recordOf({ key: of }));
    await first.store.end(other, 'ending');
    await waitFor('the ending', () => second.feed.find(other)?.ended);
    await isFresh(second);
    second.subscriber.disconnect();
    await waitFor('the end of freshness', () => !second.feed.fresh());
    await first.store.rebind(key, 0, binding('i2', 'up-2'));
    await first.store.end(other, undefined);
    await first.store.revokeCaller('ann', ann);
    void second.subscriber.connect();
    await isFresh(second);
    expect(second.feed.find(key)?.binding.generation).toBe(1);
    expect(second.feed.find(other)).toBeUndefined();
    expect(second.feed.revoked('ann', 0)).toBe(true);
  });
});

describe('Redis that does not answer', () => {
  test('makes the feed stale after a second, and every operation fails after two', async () => {
    const { store, feed, ...rest } = await sidecar();
    await store.create(recordOf());
    await isFresh({ store, feed, ...rest });
    const began = performance.now();
    server.pause();
    const refused = refusedAfter(store);
    await waitFor('the end of freshness', () => !feed.fresh());
    expect(performance.now() - began).toBeLessThan(2_500);
    expect(await refused).toBeLessThan(6_000);
    server.resume();
    await isFresh({ store, feed, ...rest });
    await waitFor('an answer', async () => (await store.read(key)) !== undefined);
  });

  test('that is gone makes every operation fail at once', async () => {
    const { store, feed } = await sidecar();
    await server.kill();
    await waitFor('the end of the connection', () => !feed.fresh());
    await waitFor('the first failure', () =>
      store.read(key).then(
        () => false,
        () => true,
      ),
    );
    expect(await refusedAfter(store)).toBeLessThan(500);
    await server.restart();
  });

  test('while a sidecar waits for a lock ends the wait', async () => {
    const [first, second] = [await sidecar(), await sidecar()];
    await first.store.lock(key, new AbortController().signal);
    const outcome = second.store.lock(key, new AbortController().signal).then(
      () => 'locked',
      () => 'rejected',
    );
    await server.kill();
    expect(await outcome).toBe('rejected');
    await server.restart();
  });
});

test('after a reconnect the feed subscribes once: a second subscription, by the client itself, would fail unheard', async () => {
  const connected = await sidecar();
  await isFresh(connected);
  await server.resetCounts();
  connected.subscriber.disconnect(true);
  await waitFor('the end of freshness', () => !connected.feed.fresh());
  await isFresh(connected);
  expect((await server.commandCounts()).get('subscribe')).toBe(1);
});

describe('Redis that has lost its data', () => {
  const lose = { restarted: () => server.restart(), flushed: () => server.flush() };

  test.each(Object.entries(lose))('%s: records are gone, revocations come back, and all works again', async (_, loseData) => {
    const first = await sidecar();
    for (const of of ['a', 'b', 'c']) await first.store.create(recordOf({ key: sessionKey(of) }));
    await first.store.rebind(sessionKey('b'), 0, binding('i2', 'up-2'));
    await first.store.end(sessionKey('c'), 'revoked');
    await first.store.revokeCaller('ann', ann);
    await waitFor('the news', () => first.feed.find(sessionKey('c'))?.revoked && first.feed.revoked('ann', 0));
    await waitFor('that the data are known', async () => (await server.ask('exists', 'mcp:{s}:epoch')) === 1);
    const epoch = await server.ask('get', 'mcp:{s}:epoch');

    await loseData();
    await isFresh(first);
    // Somebody who has never known it.
    const second = await sidecar();
    await waitFor('the revocations', () => second.feed.find(sessionKey('c'))?.revoked && second.feed.revoked('ann', 0), {
      timeoutMs: 5_000,
    });
    expect(await second.store.revokedBefore('ann')).toBeGreaterThan(0);
    expect(await first.store.read(key)).toBeUndefined();
    // Who knew a binding still does.
    expect(first.feed.find(sessionKey('b'))?.binding.instance).toBe('i2');
    expect(first.feed.find(key)).toBeUndefined();

    await waitFor('that the loss is dealt with', async () => ![epoch, null].includes((await server.ask('get', 'mcp:{s}:epoch')) as string));
    await second.store.create(recordOf({ key: sessionKey('d') }));
    await second.store.rebind(sessionKey('d'), 0, binding('i3', 'up-3'));
    await waitFor('news of a new session', () => first.feed.find(sessionKey('d'))?.binding.generation === 1);
    (await first.store.lock(key, AbortSignal.timeout(5_000)))();
  });
});

describe('what is in Redis', () => {
  const allKeys = async () => ((await server.ask('keys', '*')) as string[]).toSorted();

  test('has an end, but for one key, and one hash tag', async () => {
    const { store, idle } = await sidecar();
    for (const of of ['a', 'b', 'c', 'd']) await store.create(recordOf({ key: sessionKey(of), subject: of, subscriptions: ['file:///a'] }));
    await store.rebind(key, 0, binding('i2', 'up-2'));
    await store.end(sessionKey('b'), 'ending');
    await store.end(sessionKey('c'), 'revoked');
    await store.revokeCaller('dan', { issuer: 'local', subject: 'd' });
    await store.note(key, { kind: 'subscribe', uri: 'file:///b' });
    await idle(new Map([['memory' as BackendName, 1]]), 1);
    await store.lock(key, new AbortController().signal);
    await waitFor('the epoch', async () => (await allKeys()).includes('mcp:{s}:epoch'));
    const endless: string[] = [];
    for (const name of await allKeys()) {
      expect(name).toMatch(/^mcp:\{s\}:/);
      if ((await server.ask('pttl', name)) === -1) endless.push(name);
    }
    expect(endless).toEqual(['mcp:{s}:epoch']);
  });

  test('is gone when all ids have expired', async () => {
    let now = 1_000;
    const { store, tidy, feed } = await sidecar({ now: () => now });
    const many = Array.from({ length: 450 }, (_, n) => sessionKey(`${n}.`));
    await Promise.all(many.map((of) => store.create(recordOf({ key: of, expiresAt: 2_000, subscriptions: ['file:///a'] }))));
    for (const of of many.slice(0, 5)) await store.rebind(of, 0, binding('i2', 'up-2'));
    await store.end(many[5] ?? key, 'ended');
    await store.end(many[6] ?? key, 'ending');
    await store.end(many[7] ?? key, 'revoked');
    await waitFor('the news', () => feed.find(many[7] ?? key)?.revoked);
    now = 2_000;
    await server.ask('del', 'mcp:{s}:tidying');
    await tidy();
    await waitFor('an empty store', async () => (await allKeys()).every((name) => /:(epoch|tidying)$/.test(name)));
  });

  test('costs one command for each operation on a session', async () => {
    const { redis, store } = await sidecar();
    const commands: string[] = [];
    const { sendCommand } = redis;
    redis.sendCommand = function (this: typeof redis, ...args: Parameters<typeof sendCommand>) {
      commands.push(args[0].name);
      return sendCommand.apply(this, args);
    };
    await store.create(recordOf());
    await store.note(key, { kind: 'subscribe', uri: 'file:///b' });
    await store.rebind(key, 0, binding('i2', 'up-2'));
    await store.claimStream(key);
    await store.end(key, 'ending');
    expect(commands.filter((name) => name.startsWith('eval'))).toHaveLength(5);
    expect(commands.filter((name) => !name.startsWith('eval') && name !== 'get' && name !== 'set')).toEqual([]);
  });
});

test('one sidecar at a time looks for idle sessions', async () => {
  const [first, second] = [await sidecar({ now: () => 1_000 }), await sidecar({ now: () => 1_000 })];
  await first.store.create(recordOf());
  const found = await Promise.all([first, second].map(({ idle }) => idle(new Map([['memory' as BackendName, 1e9]]), 10)));
  expect(found.map((records) => records.length).toSorted()).toEqual([0, 1]);
});

test('counts of open sessions are reported again and again', async () => {
  const { store, watchCounts } = await sidecar();
  const reports: ReadonlyMap<InstanceId, number>[] = [];
  watchCounts(
    () => ['i1', 'i2'] as InstanceId[],
    (counts) => reports.push(counts),
  );
  await waitFor('a report', () => reports.length > 0);
  await store.create(recordOf());
  await waitFor('the new session', () => reports.at(-1)?.get('i1' as InstanceId) === 1);
  expect(reports.at(-1)?.get('i2' as InstanceId)).toBe(0);
});
