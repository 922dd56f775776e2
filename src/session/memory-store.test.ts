// The session records hold what the contract promises, whatever the order of operations.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { binding, recordOf, sessionKey } from '../../test/fakes/sessions.ts';
import type { InstanceId, SessionKey } from '../core/ids.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';
import { MAX_NOTED_CHARS, MAX_SUBSCRIPTIONS, NO_INSTANCE, type SessionNews, type SessionRecord } from './store.ts';

const key = sessionKey('a');

async function storeWith(record: Partial<SessionRecord> = {}, now: () => number = () => 0): Promise<MemoryStore> {
  const store = createMemoryStore({ now });
  await store.create(recordOf(record));
  return store;
}

describe('rebinding', () => {
  test('counts generations, and only the first from a generation wins', async () => {
    const store = await storeWith();
    const [first, second] = await Promise.all([store.rebind(key, 0, binding('i2', 'up-2')), store.rebind(key, 0, binding('i3', 'up-3'))]);
    expect(first).toEqual({ generation: 1, ...binding('i2', 'up-2') });
    expect(second).toEqual(first);
    expect((await store.read(key))?.binding).toEqual(first);
  });

  test('a session that has ended, or is about to, is not bound again', async () => {
    for (const end of ['ending', 'ended'] as const) {
      const store = await storeWith();
      await store.end(key, end);
      expect(await store.rebind(key, 0, binding('i2', 'up-2'))).toBeUndefined();
      expect((await store.read(key))?.binding.generation).toBe(0);
    }
  });
});

describe('ends', () => {
  test('`ending` can be taken back, `ended` cannot', async () => {
    const store = await storeWith();
    await store.end(key, 'ending');
    await store.end(key, undefined);
    expect((await store.read(key))?.end).toBeUndefined();
    await store.end(key, 'ended');
    await store.end(key, undefined);
    await store.end(key, 'ending');
    expect((await store.read(key))?.end).toBe('ended');
  });

  test('`ending` without an outcome becomes `ended` after a minute', async () => {
    let now = 0;
    const store = await storeWith({}, () => now);
    await store.end(key, 'ending');
    now = 60_000;
    store.sweep();
    expect((await store.read(key))?.end).toBe('ending');
    now = 60_001;
    store.sweep();
    expect((await store.read(key))?.end).toBe('ended');
  });

  test('a restart takes `ending` for `ended`', async () => {
    const store = createMemoryStore({ now: () => 0, initial: [recordOf({ end: 'ending' })] });
    await store.end(key, undefined);
    expect((await store.read(key))?.end).toBe('ended');
  });
});

test('a record is forgotten with its id', async () => {
  let now = 0;
  const store = await storeWith({ expiresAt: 10 }, () => now);
  now = 9;
  store.sweep();
  expect(await store.read(key)).toBeDefined();
  now = 10;
  expect(await store.read(key)).toBeUndefined();
  expect(await store.rebind(key, 0, binding('i2', 'up-2'))).toBeUndefined();
  expect(store.countByInstance().size).toBe(1);
  store.sweep();
  expect([...store.records()]).toEqual([]);
  expect(store.countByInstance().size).toBe(0);
});

test('level and subscriptions: the newest of each, bounded in number and length', async () => {
  const store = await storeWith();
  await store.note(key, { kind: 'level', level: 'debug' });
  await store.note(key, { kind: 'level', level: 'error' });
  for (let n = 0; n < MAX_SUBSCRIPTIONS + 5; n += 1) await store.note(key, { kind: 'subscribe', uri: `file:///${n}` });
  await store.note(key, { kind: 'subscribe', uri: 'file:///10' });
  await store.note(key, { kind: 'unsubscribe', uri: 'file:///11' });
  await store.note(key, { kind: 'subscribe', uri: 'x'.repeat(MAX_NOTED_CHARS + 1) });
  await store.note(key, { kind: 'level', level: 'x'.repeat(MAX_NOTED_CHARS + 1) });
  const record = await store.read(key);
  expect(record?.level).toBe('error');
  expect(record?.subscriptions).toHaveLength(MAX_SUBSCRIPTIONS - 1);
  expect(record?.subscriptions[0]).toBe('file:///5');
  expect(record?.subscriptions.at(-1)).toBe('file:///10');
});

test('the first GET stream after each recovery is claimed once', async () => {
  const store = await storeWith();
  expect(await store.claimStream(key)).toBe(false);
  await store.rebind(key, 0, binding('i2', 'up-2'));
  expect(await Promise.all([store.claimStream(key), store.claimStream(key)])).toEqual([true, false]);
  await store.rebind(key, 1, binding('i3', 'up-3'));
  await store.rebind(key, 2, binding('i4', 'up-4'));
  expect([await store.claimStream(key), await store.claimStream(key)]).toEqual([true, false]);
});

test('what nobody knows is no error', async () => {
  const store = createMemoryStore();
  await store.note(key, { kind: 'level', level: 'debug' });
  await store.end(key, 'ended');
  store.used([key]);
  expect(await store.read(key)).toBeUndefined();
  expect(await store.rebind(key, 0, binding('i2', 'up-2'))).toBeUndefined();
  expect(await store.claimStream(key)).toBe(false);
});

describe('news', () => {
  test('go out on each rebinding and each end, and a newcomer learns what counts', async () => {
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
});

describe('use', () => {
  const used = (store: MemoryStore) => [...store.inUse()].map(([record, at]) => [record.binding.instance, at]);

  test('is the last report, or the creation', async () => {
    let now = 5;
    const store = await storeWith({}, () => now);
    expect(used(store)).toEqual([['i1', 5]]);
    now = 9;
    store.used([key, sessionKey('unknown')]);
    expect(used(store)).toEqual([['i1', 9]]);
  });

  test('ended and idle sessions are on no instance', async () => {
    const store = await storeWith();
    await store.rebind(key, 0, { instance: NO_INSTANCE, upstreamId: binding('', 'up-1').upstreamId });
    expect(used(store)).toEqual([]);
    expect(store.countByInstance().size).toBe(0);
  });

  test('after a restart nobody has been idle: the time of the last use is not kept', () => {
    const store = createMemoryStore({ now: () => 1_000_000, initial: [recordOf({ createdAt: 1 })] });
    expect(used(store)).toEqual([['i1', 1_000_000]]);
  });
});

// Against a model that keeps nothing but what the contract says, in the plainest form.
test('any order of operations leaves what the contract promises', async () => {
  const keys = ['a', 'b', 'c'].map(sessionKey);
  const anyKey = fc.constantFrom(...keys);
  const instance = fc.constantFrom('i1', 'i2', 'i3', '');
  const step = fc.oneof(
    fc.record({ do: fc.constant('create' as const), key: anyKey, life: fc.integer({ min: 1, max: 200_000 }) }),
    fc.record({ do: fc.constant('rebind' as const), key: anyKey, from: fc.nat(3), instance }),
    fc.record({ do: fc.constant('end' as const), key: anyKey, end: fc.constantFrom('ending' as const, 'ended' as const, undefined) }),
    fc.record({ do: fc.constant('claim' as const), key: anyKey }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 70_000 }) }),
    fc.record({ do: fc.constant('sweep' as const) }),
  );

  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      let now = 0;
      const store = createMemoryStore({ now: () => now });
      const changes = new Map<SessionKey, SessionRecord>();
      store.onChange((record) => changes.set(record.key, record));
      const model = new Map<
        SessionKey,
        { expiresAt: number; generation: number; instance: string; end: string | undefined; claimed: number }
      >();
      const tombstones = new Set<SessionKey>();
      const alive = (of: SessionKey) => {
        const known = model.get(of);
        return known && known.expiresAt > now ? known : undefined;
      };
      for (const each of steps) {
        if (each.do === 'create' && !model.has(each.key)) {
          model.set(each.key, { expiresAt: now + each.life, generation: 0, instance: 'i1', end: undefined, claimed: 0 });
          await store.create(recordOf({ key: each.key, expiresAt: now + each.life }));
        } else if (each.do === 'rebind') {
          const known = alive(each.key);
          if (known && known.end === undefined && known.generation === each.from) {
            known.generation += 1;
            known.instance = each.instance;
          }
          const answer = await store.rebind(each.key, each.from, binding(each.instance, 'up'));
          expect(answer?.generation).toBe(known?.end === undefined ? known?.generation : undefined);
        } else if (each.do === 'end') {
          const known = alive(each.key);
          if (known && known.end !== 'ended') known.end = each.end;
          if (known?.end === 'ended') tombstones.add(each.key);
          await store.end(each.key, each.end);
        } else if (each.do === 'claim') {
          const known = alive(each.key);
          expect(await store.claimStream(each.key)).toBe(known !== undefined && known.claimed < known.generation);
          if (known) known.claimed = known.generation;
        } else if (each.do === 'wait') {
          now += each.ms;
        } else if (each.do === 'sweep') {
          store.sweep();
        }
        const counts = new Map<string, number>();
        for (const of of keys) {
          const record = await store.read(of);
          const known = alive(of);
          expect(record === undefined).toBe(known === undefined);
          if (!record || !known) continue;
          // Only time turns an ending into an end by itself.
          if (known.end === 'ending' && record.end === 'ended') known.end = 'ended';
          if (record.end === 'ended') tombstones.add(of);
          expect([record.end, record.binding.generation, record.binding.instance]).toEqual([known.end, known.generation, known.instance]);
          expect(changes.get(of)).toEqual(record);
          expect(tombstones.has(of)).toBe(record.end === 'ended');
        }
        for (const record of store.records()) {
          if (!record.end && record.binding.instance) counts.set(record.binding.instance, (counts.get(record.binding.instance) ?? 0) + 1);
        }
        expect(store.countByInstance()).toEqual(counts as Map<InstanceId, number>);
      }
    }),
    { seed: 20260728, numRuns: 300 },
  );
});
