// What every form of the session store promises: the same tests in memory, over the supervisor's link, and on a real Redis.

import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BackendName, SessionKey, TenantId } from '../../src/core/ids.ts';
import { MAX_LISTED, MAX_NOTED_CHARS, MAX_SUBSCRIPTIONS, NO_INSTANCE, type SessionRecord } from '../../src/session/store.ts';
import { binding, recordOf, sessionKey } from '../fakes/sessions.ts';
import { waitFor } from '../harness/wait-for.ts';
import { linkForm, memoryForm, redisForm, type World } from './forms.ts';
import { anyOrderHolds } from './store-model.ts';

const key = sessionKey('a');
const never = new AbortController().signal;

describe.each([memoryForm(), linkForm(), redisForm()])('sessions $name', (form) => {
  let world: World;
  let store: World['first']['store'];
  beforeEach(async () => {
    world = await form.open();
    store = world.first.store;
  });
  afterEach(() => world.close());
  afterAll(() => form.close());

  const create = (over: Partial<SessionRecord> = {}) => store.create(recordOf({ createdAt: world.clock.now, ...over }));

  test('a record is read as it was written, by every sidecar', async () => {
    const full = recordOf({
      initialize: '{"clientInfo":{"name":"ünï\\u0000"}}',
      level: '',
      subscriptions: ['file:///b', 'file:///a'],
      binding: { generation: 3, ...binding('i3', 'up 3\tx') },
      streamGeneration: 2,
    });
    await store.create(full);
    expect(await world.second.store.read(key)).toEqual(full);
    const plain = recordOf({ key: sessionKey('b'), initialize: '' });
    await store.create(plain);
    // Over the link a level that is undefined is absent.
    expect({ level: undefined, end: undefined, ...(await world.second.store.read(plain.key)) }).toEqual(plain);
  });

  test('what nobody knows is no error', async () => {
    await store.note(key, { kind: 'level', level: 'debug' });
    await store.end(key, 'ended');
    store.used([key]);
    expect(await store.read(key)).toBeUndefined();
    expect(await store.rebind(key, 0, binding('i2', 'up-2'))).toBeUndefined();
    expect(await store.claimStream(key)).toBe(false);
    expect(await store.list({ limit: 10 })).toEqual([]);
    expect(await store.revokedBefore('nobody')).toBeUndefined();
    expect(await store.revokeCaller('nobody', { issuer: 'x', subject: 'y' })).toBe(0);
  });

  describe('rebinding', () => {
    test('counts generations, and only the first from a generation wins', async () => {
      await create();
      const [first, second] = await Promise.all([
        store.rebind(key, 0, binding('i2', 'up-2')),
        world.second.store.rebind(key, 0, binding('i3', 'up-3')),
      ]);
      expect(first?.generation).toBe(1);
      expect(second).toEqual(first);
      expect((await store.read(key))?.binding).toEqual(first);
    });

    test.each(['ending', 'ended', 'revoked'] as const)('a session that is %s is not bound again', async (end) => {
      await create();
      await store.end(key, end);
      expect(await store.rebind(key, 0, binding('i2', 'up-2'))).toBeUndefined();
      expect((await store.read(key))?.binding.generation).toBe(0);
    });

    test('moves the session from one instance to the other', async () => {
      await create();
      expect(await world.counts(['i1', 'i2'])).toEqual({ i1: 1, i2: 0 });
      await store.rebind(key, 0, binding('i2', 'up-2'));
      expect(await world.counts(['i1', 'i2'])).toEqual({ i1: 0, i2: 1 });
    });
  });

  describe('ends', () => {
    test('`ending` can be taken back, `ended` and `revoked` cannot', async () => {
      await create({ initialize: '{"a":1}', level: 'debug' });
      await store.end(key, 'ending');
      expect(await world.counts(['i1'])).toEqual({ i1: 0 });
      await store.end(key, undefined);
      expect(await store.read(key)).toMatchObject({ initialize: '{"a":1}', level: 'debug' });
      expect((await store.read(key))?.end).toBeUndefined();
      expect(await world.counts(['i1'])).toEqual({ i1: 1 });
      for (const end of ['ended', 'revoked'] as const) {
        const of = sessionKey(end);
        await create({ key: of });
        await store.end(of, 'ending');
        await store.end(of, end);
        await store.end(of, undefined);
        await store.end(of, 'ending');
        await store.end(of, end === 'ended' ? 'revoked' : 'ended');
        expect((await store.read(of))?.end).toBe(end);
      }
    });

    test('leave no more of a record than a tombstone', async () => {
      await create({ level: 'debug', subscriptions: ['file:///a'] });
      await store.end(key, 'ended');
      await store.note(key, { kind: 'subscribe', uri: 'file:///b' });
      await store.note(key, { kind: 'level', level: 'error' });
      const record = await store.read(key);
      expect(record).toMatchObject({ key, initialize: '', subscriptions: [], end: 'ended' });
      expect(record?.level).toBeUndefined();
    });

    test('`ending` without an outcome becomes `ended` after a minute', async () => {
      await create();
      await store.end(key, 'ending');
      const sinceThen = world.clock.now;
      world.clock.now = sinceThen + 60_000;
      await world.sweep();
      expect((await store.read(key))?.end).toBe('ending');
      world.clock.now = sinceThen + 60_001;
      expect((await store.read(key))?.end).toBe('ended');
      await store.end(key, undefined);
      expect((await store.read(key))?.end).toBe('ended');
      await world.sweep();
      expect((await store.read(key))?.end).toBe('ended');
    });
  });

  test('a record is forgotten with its id', async () => {
    world.clock.now = 0;
    await create({ expiresAt: 10 });
    world.clock.now = 9;
    await world.sweep();
    expect(await store.read(key)).toBeDefined();
    world.clock.now = 10;
    expect(await store.read(key)).toBeUndefined();
    expect(await store.list({ limit: 10 })).toEqual([]);
    expect(await store.rebind(key, 0, binding('i2', 'up-2'))).toBeUndefined();
    expect(await store.claimStream(key)).toBe(false);
    await world.sweep();
    expect(await world.counts(['i1', 'i2'])).toEqual({ i1: 0, i2: 0 });
  });

  test('level and subscriptions: the newest of each, bounded in number and length', async () => {
    await create();
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

  test.each([
    ['ASCII', 'x'.repeat(1_000 - 3), 16],
    ['other characters, counted in bytes', '\u20ac'.repeat(2_000), 2],
  ])('subscriptions: bounded in bytes together, the oldest is forgotten first (%s)', async (_, filler, most) => {
    await create();
    const uri = (n: number) => `${String(n).padStart(3, '0')}${filler}`;
    for (let n = 0; n < most + 3; n += 1) await store.note(key, { kind: 'subscribe', uri: uri(n) });
    const remembered = async () => (await store.read(key))?.subscriptions.map((each) => Number(each.slice(0, 3)));
    const newest = Array.from({ length: most }, (_each, n) => n + 3);
    expect(await remembered()).toEqual(newest);
    // Once more the one that is the oldest: there is still room for all.
    await store.note(key, { kind: 'subscribe', uri: uri(3) });
    expect(await remembered()).toEqual([...newest.slice(1), 3]);
    await store.note(key, { kind: 'subscribe', uri: 'file:///small' });
    expect((await store.read(key))?.subscriptions).toHaveLength(most + 1);
  });

  test('the first GET stream after each recovery is claimed once', async () => {
    await create();
    expect(await store.claimStream(key)).toBe(false);
    await store.rebind(key, 0, binding('i2', 'up-2'));
    const claims = await Promise.all([store.claimStream(key), world.second.store.claimStream(key)]);
    expect(claims.toSorted()).toEqual([false, true]);
    await store.rebind(key, 1, binding('i3', 'up-3'));
    await store.rebind(key, 2, binding('i4', 'up-4'));
    expect([await store.claimStream(key), await store.claimStream(key)]).toEqual([true, false]);
  });

  describe('news', () => {
    const heardBySecond = (what: string, condition: () => unknown) => waitFor(what, condition);

    test('of rebindings, ends and what is taken back reach the other sidecar', async () => {
      await create();
      await create({ key: sessionKey('b') });
      const { feed } = world.second;
      expect(feed.find(key)).toBeUndefined();
      await store.rebind(key, 0, binding('i2', 'up-2'));
      await heardBySecond('the rebinding', () => feed.find(key)?.binding.generation === 1);
      expect(feed.find(key)).toMatchObject({ key, binding: { generation: 1, ...binding('i2', 'up-2') }, ended: false });
      await store.end(sessionKey('b'), 'ending');
      await heardBySecond('the ending', () => feed.find(sessionKey('b'))?.ended);
      await store.end(sessionKey('b'), undefined);
      await heardBySecond('that it was taken back', () => feed.find(sessionKey('b')) === undefined);
      await store.end(key, 'revoked');
      await heardBySecond('the revocation', () => feed.find(key)?.revoked);
      expect(feed.find(key)).toMatchObject({ ended: true, binding: { generation: 1 } });
    });

    test('of a revoked caller reach the other sidecar', async () => {
      world.clock.now = 100_500;
      const caller = Buffer.alloc(32, 9);
      expect(world.second.feed.revoked(caller, 0)).toBe(false);
      await store.revokeCaller(caller.toString('base64url'), { issuer: 'x', subject: 'y' });
      await heardBySecond('the revocation', () => world.second.feed.revoked(caller, 100));
      expect(world.second.feed.revoked(caller.toString('base64url'), 100)).toBe(true);
      expect(world.second.feed.revoked(caller, 101)).toBe(false);
      expect(world.second.feed.revoked(Buffer.alloc(32, 8), 100)).toBe(false);
    });
  });

  describe('revoking a caller', () => {
    const who = { issuer: 'https://a/', subject: 'ann' };

    test('ends all of its open sessions and nobody else’s, and is known of', async () => {
      world.clock.now = 100_500;
      const mine = Array.from({ length: 450 }, (_, n) => sessionKey(`mine ${n}`));
      await Promise.all(mine.map((of) => create({ key: of, ...who })));
      const others: Partial<SessionRecord>[] = [{ subject: 'bob' }, { issuer: 'https://b/' }];
      for (const [n, over] of others.entries()) await create({ key: sessionKey(`other ${n}`), ...who, ...over });
      await store.end(mine[0] as SessionKey, 'ended');
      await store.end(mine[1] as SessionKey, 'ending');
      expect(await store.revokeCaller('hash', who)).toBe(448);
      for (const of of mine.slice(0, 5)) expect((await store.read(of))?.end).toBe('ended');
      expect(await store.list({ limit: 10 })).toHaveLength(2);
      expect(await world.counts(['i1'])).toEqual({ i1: 2 });
      expect(await world.second.store.revokedBefore('hash')).toBe(100);
      await waitFor('the news', () => mine.every((of) => world.second.feed.find(of)?.ended));
    });

    test('counts for what it began until then; later revocations count for more', async () => {
      world.clock.now = 100_000;
      await store.revokeCaller('hash', who);
      world.clock.now = 200_000;
      await create({ ...who });
      expect((await store.read(key))?.end).toBeUndefined();
      expect(await store.revokeCaller('hash', who)).toBe(1);
      world.clock.now = 150_000;
      await store.revokeCaller('hash', who);
      expect(await store.revokedBefore('hash')).toBe(200);
    });

    test('is forgotten when no id is as old as that', async () => {
      world.clock.now = 100_000;
      await store.revokeCaller('hash', who);
      world.clock.now = 100_000 + 30 * 24 * 3_600_000 - 1;
      await world.sweep();
      expect(await store.revokedBefore('hash')).toBe(100);
      world.clock.now += 1;
      await world.sweep();
      expect(await store.revokedBefore('hash')).toBeUndefined();
    });
  });

  describe('the list', () => {
    test('holds open sessions, what was used last first, by any of their properties', async () => {
      const sessions: [string, Partial<SessionRecord>][] = [
        ['a', {}],
        ['b', { backend: 'github' as BackendName }],
        ['c', { subject: 'ann' }],
        ['d', { issuer: 'https://a/', subject: 'ann', tenant: 'sales' as TenantId }],
      ];
      for (const [name, over] of sessions) {
        world.clock.now += 1_000;
        await create({ key: sessionKey(name), expiresAt: 1e9, ...over });
      }
      const names = async (query: Parameters<typeof store.list>[0]) => {
        const keys = (await world.second.store.list(query)).map((each) => each.key);
        return keys.map((of) => sessions.find(([name]) => sessionKey(name) === of)?.[0]).join('');
      };
      expect(await names({ limit: 10 })).toBe('dcba');
      expect(await names({ limit: 2 })).toBe('dc');
      expect(await names({ limit: 10, backend: 'memory' as BackendName })).toBe('dca');
      expect(await names({ limit: 10, subject: 'ann' })).toBe('dc');
      expect(await names({ limit: 10, issuer: 'https://a/', subject: 'ann' })).toBe('d');
      expect(await names({ limit: 10, issuer: 'local', subject: 'local', backend: 'github' as BackendName })).toBe('b');
      expect(await names({ limit: 10, tenant: 'sales' as TenantId })).toBe('d');
      expect(await names({ limit: 10, subject: 'nobody' })).toBe('');

      world.clock.now += 60_000;
      store.used([sessionKey('a')]);
      await waitFor('the use', async () => (await names({ limit: 10 })) === 'adcb');
      expect((await store.list({ limit: 1 }))[0]).toEqual({
        ...{ key, backend: 'memory', issuer: 'local', subject: 'local', tenant: 'default', instance: 'i1', generation: 0 },
        ...{ createdAt: 2_000, lastUsed: world.clock.now, expiresAt: 1e9 },
      });

      await store.end(sessionKey('a'), 'ending');
      await store.end(sessionKey('b'), 'ended');
      world.clock.now += 1_000;
      await store.rebind(sessionKey('c'), 0, binding('i2', 'up-2'));
      await store.rebind(sessionKey('d'), 0, { instance: NO_INSTANCE, upstreamId: binding('', 'up').upstreamId });
      expect(await names({ limit: 10 })).toBe('cd');
      expect((await store.list({ limit: 10 })).map(({ instance, generation }) => [instance, generation])).toEqual([
        ['i2', 1],
        [NO_INSTANCE, 1],
      ]);
      await store.end(sessionKey('a'), undefined);
      expect(await names({ limit: 10 })).toBe('cad');
    });

    test(`is bounded: ${MAX_LISTED} of more`, async () => {
      const all = Array.from({ length: MAX_LISTED + 200 }, (_, n) => sessionKey(`${n}.`));
      await Promise.all(all.map((of, n) => create({ key: of, ...(n % 2 ? {} : { backend: 'github' as BackendName }) })));
      const listed = await store.list({ limit: 1e9 });
      expect(new Set(listed.map((each) => each.key)).size).toBe(MAX_LISTED);
      expect(await store.list({ limit: 1e9, backend: 'github' as BackendName })).toHaveLength(600);
      expect(await store.list({ limit: 1e9, issuer: 'local', subject: 'local' })).toHaveLength(MAX_LISTED);
      expect(await store.list({ limit: 0 })).toEqual([]);
    });
  });

  describe('idle sessions', () => {
    const lag = form.useLagMs;
    const idleKeys = async (before: number) => (await world.idle({ memory: before })).map((record) => record.key);

    test('are those that were last used before the moment for their backend', async () => {
      world.clock.now = 100_000;
      await create();
      await create({ key: sessionKey('b') });
      world.clock.now = 200_000;
      store.used([key, sessionKey('unknown')]);
      await waitFor('the use', async () => (await store.list({ limit: 1 }))[0]?.lastUsed === 200_000);
      expect(await idleKeys(100_000 + lag)).toEqual([]);
      expect(await idleKeys(100_001 + lag)).toEqual([sessionKey('b')]);
      expect(await idleKeys(200_001 + lag)).toHaveLength(2);
      expect(await world.idle({ memory: 1e9 }, 1)).toHaveLength(1);
      expect(await world.idle({ github: 1e9 })).toEqual([]);
      expect(await world.idle({})).toEqual([]);
      expect((await world.idle({ memory: 100_001 + lag }))[0]).toMatchObject({
        backend: 'memory',
        binding: { generation: 0, ...binding('i1', 'up-1') },
      });
    });

    test('are not those that are over, idle already, or could not be opened again', async () => {
      const moment = 1e9;
      await create({ initialize: '' });
      await create({ key: sessionKey('b') });
      await create({ key: sessionKey('c') });
      await store.end(sessionKey('b'), 'ending');
      await store.rebind(sessionKey('c'), 0, { instance: NO_INSTANCE, upstreamId: binding('', 'up').upstreamId });
      expect(await idleKeys(moment)).toEqual([]);
      world.clock.now = moment;
      await store.rebind(sessionKey('c'), 1, binding('i2', 'up-2'));
      expect(await idleKeys(moment + lag)).toEqual([]);
      expect(await idleKeys(moment + lag + 1)).toEqual([sessionKey('c')]);
    });
  });

  describe('the lock', () => {
    test('has one holder among all sidecars', async () => {
      let inside = 0;
      let most = 0;
      await Promise.all(
        Array.from({ length: 10 }, async (_, n) => {
          const release = await (n % 2 ? world.first : world.second).store.lock(key, never);
          inside += 1;
          most = Math.max(most, inside);
          await store.read(key);
          inside -= 1;
          release();
          release();
        }),
      );
      expect(most).toBe(1);
      (await store.lock(sessionKey('b'), never))();
    });

    test('is not got by who no longer wants it', async () => {
      const release = await store.lock(key, never);
      const impatient = new AbortController();
      const outcome = world.second.store.lock(key, impatient.signal).then(
        () => 'locked',
        () => 'rejected',
      );
      await store.read(key);
      impatient.abort(new Error('gone'));
      expect(await outcome).toBe('rejected');
      release();
      (await world.second.store.lock(key, never))();
      await expect(store.lock(key, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
    });
  });

  test('any order of operations leaves what the contract promises', () => anyOrderHolds(form), 60_000);
});
