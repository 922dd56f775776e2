// What only the store in memory has: what is kept over a restart, what newcomers are told, and what is dropped when there is too much.

import { describe, expect, test } from 'vitest';
import { binding, recordOf, sessionKey } from '../../test/fakes/sessions.ts';
import { createMemoryStore, type MemoryStore, type StoredEntry } from './memory-store.ts';
import type { SessionNews, SessionRecord } from './store.ts';

const key = sessionKey('a');

async function storeWith(record: Partial<SessionRecord> = {}, now: () => number = () => 0): Promise<MemoryStore> {
  const store = createMemoryStore({ now });
  await store.create(recordOf(record));
  return store;
}

describe('a restart', () => {
  test('takes `ending` for `ended`, and leaves `revoked` what it is', async () => {
    const initial = [recordOf({ end: 'ending' }), recordOf({ key: sessionKey('b'), end: 'revoked' })];
    const store = createMemoryStore({ now: () => 0, initial });
    await store.end(key, undefined);
    expect((await store.read(key))?.end).toBe('ended');
    expect((await store.read(sessionKey('b')))?.end).toBe('revoked');
  });

  test('makes nobody idle: the time of the last use is not kept', async () => {
    const store = createMemoryStore({ now: () => 1_000_000, initial: [recordOf({ createdAt: 1 })] });
    expect((await store.list({ limit: 1 }))[0]?.lastUsed).toBe(1_000_000);
  });

  test('changes nothing else: what was told of all changes makes the same store', async () => {
    const store = createMemoryStore({ now: () => 5_000 });
    const told: StoredEntry[] = [];
    const stop = store.onChange((entry) => told.push(JSON.parse(JSON.stringify(entry))));
    for (const name of ['a', 'b', 'c', 'd']) await store.create(recordOf({ key: sessionKey(name), subject: name }));
    await store.rebind(key, 0, binding('i2', 'up-2'));
    await store.note(key, { kind: 'subscribe', uri: 'file:///a' });
    await store.end(sessionKey('b'), 'ended');
    await store.end(sessionKey('c'), 'revoked');
    await store.revokeCaller('dan', { issuer: 'local', subject: 'd' });
    await store.claimStream(key);
    stop();
    await store.rebind(key, 1, binding('i3', 'up-3'));

    for (const entries of [told, [...store.entries()]]) {
      const again = createMemoryStore({ now: () => 6_000, initial: entries });
      const binds = entries === told ? 'i2' : 'i3';
      expect((await again.list({ limit: 10 })).map((each) => [each.key, each.instance])).toEqual([[key, binds]]);
      expect(await again.read(key)).toMatchObject({ subscriptions: ['file:///a'], streamGeneration: 1 });
      expect(again.revocations()).toEqual([{ caller: 'dan', before: 5 }]);
      const news = new Map(again.news().map((item) => [item.key, item]));
      expect(['a', 'b', 'c', 'd'].map((name) => news.get(sessionKey(name))?.ended)).toEqual([false, true, true, true]);
      expect(news.get(sessionKey('c'))?.revoked).toBe(true);
    }
  });
});

test('news go out on each rebinding and each end, and a newcomer learns what counts', async () => {
  const store = await storeWith();
  await store.create(recordOf({ key: sessionKey('b') }));
  const heard: SessionNews[] = [];
  const stop = store.onNews((news) => heard.push(news));
  expect(store.news()).toEqual([]);
  await store.rebind(key, 0, binding('i2', 'up-2'));
  await store.end(sessionKey('b'), 'ending');
  expect(heard.map(({ key: of, ended, binding: { generation } }) => [of, generation, ended])).toEqual([
    [key, 1, false],
    [sessionKey('b'), 0, true],
  ]);
  expect(store.news()).toHaveLength(2);
  stop();
  await store.end(key, 'ended');
  expect(heard).toHaveLength(2);
});

test('expired records go with the sweep', async () => {
  let now = 0;
  const store = await storeWith({ expiresAt: 10 }, () => now);
  now = 10;
  expect([...store.records()]).toHaveLength(1);
  store.sweep();
  expect([...store.records()]).toEqual([]);
  expect(store.countByInstance().size).toBe(0);
});

test('when the records are too large, the least recently changed go, however few they are', async () => {
  const store = createMemoryStore({ now: () => 0 });
  const initialize = 'x'.repeat(1024 * 1024);
  const names = Array.from({ length: 130 }, (_, n) => `${n}` as SessionRecord['key']);
  for (const name of names) await store.create(recordOf({ key: name, initialize }));
  expect([...store.records()].map((record) => record.key)).toEqual(names.slice(-127));
  for (const name of names.slice(3)) await store.end(name, 'ended');
  for (const name of names.slice(0, 3)) await store.create(recordOf({ key: name, initialize }));
  expect([...store.records()]).toHaveLength(130);
});

test('when there are too many records, an ended one goes first, and a revoked one last', async () => {
  const record = (name: string, over: Partial<SessionRecord> = {}) => recordOf({ key: `${name}` as SessionRecord['key'], ...over });
  const initial = [record('revoked', { end: 'revoked' }), record('open'), record('ended', { end: 'ended' })];
  for (let n = initial.length; n < 100_000; n += 1) initial.push(record(`${n}`));
  const store = createMemoryStore({ now: () => 0, initial });
  const there = () => ['revoked', 'open', 'ended'].filter((name) => [...store.records()].some((each) => each.key === name));
  expect(there()).toEqual(['revoked', 'open', 'ended']);
  await store.create(record('new'));
  expect(there()).toEqual(['revoked', 'open']);
  await store.create(record('newer'));
  expect(there()).toEqual(['revoked']);
});
