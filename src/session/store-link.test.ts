// The store over a real socket: two sidecars, their locks and their news, and the death of one.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Link, openLink } from '../../test/fakes/link.ts';
import { binding, recordOf, sessionKey } from '../../test/fakes/sessions.ts';
import { eventually } from '../../test/harness/eventually.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';
import { type LinkedStore, linkStore, serveStore } from './store-link.ts';

const key = sessionKey('a');
const never = new AbortController().signal;
let store: MemoryStore;
let link: Link;
let clock: number;
let storeClock: number;

beforeEach(async () => {
  clock = 0;
  storeClock = 1_000;
  store = createMemoryStore({ now: () => storeClock });
  await store.create(recordOf());
  link = await openLink((connection) => serveStore(connection, store));
});
afterEach(() => link.close());

interface Sidecar extends LinkedStore {
  readonly counts: Map<string, number>;
  readonly die: () => void;
}

async function sidecar(): Promise<Sidecar> {
  let linked: LinkedStore | undefined;
  const counts = new Map<string, number>();
  const { die } = await link.client((connection) => {
    const onCounts = (fresh: ReadonlyMap<string, number>): void => {
      counts.clear();
      for (const [instance, count] of fresh) counts.set(instance, count);
    };
    linked = linkStore(connection, onCounts, () => clock);
  });
  return { ...(linked as LinkedStore), counts, die };
}

test('news reach all sidecars, those that come later too; old news are taken back', async () => {
  const [first, second] = [await sidecar(), await sidecar()];
  await first.store.rebind(key, 0, binding('i2', 'up-2'));
  const bound = { key, binding: { generation: 1, ...binding('i2', 'up-2') }, ended: false };
  for (const each of [first, second]) await eventually(() => expect(each.feed.find(key)).toEqual(bound));
  const other = recordOf({ key: sessionKey('b') });
  await store.create(other);
  await second.store.end(other.key, 'ending');
  await eventually(() => expect(first.feed.find(other.key)?.ended).toBe(true));
  const third = await sidecar();
  await eventually(() => expect([third.feed.find(key), third.feed.find(other.key)?.ended]).toEqual([bound, true]));
  await second.store.end(other.key, undefined);
  for (const each of [first, third]) await eventually(() => expect(each.feed.find(other.key)).toBeUndefined());
});

test('a sidecar that comes later knows the callers that were revoked before', async () => {
  await store.revokeCaller('ann', { issuer: 'x', subject: 'ann' });
  const { feed } = await sidecar();
  await eventually(() => expect(feed.revoked('ann', 1)).toBe(true));
  expect(feed.revoked('ann', 2)).toBe(false);
});

test('beats keep the feed fresh and bring the session counts; without them it goes stale after a second', async () => {
  const { feed, counts, die } = await sidecar();
  await eventually(() => expect(counts.get('i1')).toBe(1));
  clock = 100_000;
  expect(feed.fresh()).toBe(false);
  await eventually(() => expect(feed.fresh()).toBe(true));
  await store.rebind(key, 0, binding('i2', 'up-2'));
  await eventually(() => expect([...counts]).toEqual([['i2', 1]]));
  die();
  clock += 999;
  expect(feed.fresh()).toBe(true);
  clock += 1;
  expect(feed.fresh()).toBe(false);
});

test('a lock has one holder among all sidecars', async () => {
  const [first, second] = [await sidecar(), await sidecar()];
  const release = await first.store.lock(key, never);
  let got = false;
  const waiting = second.store.lock(key, never).then((unlock) => {
    got = true;
    return unlock;
  });
  await second.store.read(key);
  expect(got).toBe(false);
  release();
  release();
  (await waiting)();
  (await first.store.lock(key, never))();
});

test('the lock of a sidecar that dies is free again, and its place in the queue too', async () => {
  const [first, second, third] = [await sidecar(), await sidecar(), await sidecar()];
  await first.store.lock(key, never);
  void second.store.lock(key, never).catch(() => {});
  await second.store.read(key);
  const waiting = third.store.lock(key, never);
  await third.store.read(key);
  second.die();
  first.die();
  (await waiting)();
});

test('who no longer wants a lock does not get it', async () => {
  const [first, second] = [await sidecar(), await sidecar()];
  const release = await first.store.lock(key, never);
  const impatient = new AbortController();
  const given = second.store.lock(key, impatient.signal);
  const outcome = given.then(
    () => 'locked',
    () => 'rejected',
  );
  await second.store.read(key);
  impatient.abort(new Error('gone'));
  expect(await outcome).toBe('rejected');
  release();
  (await second.store.lock(key, never))();
  await expect(second.store.lock(key, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
});

test('after the end of the link nothing throws: what is asked is rejected, what is told is lost', async () => {
  let linked: LinkedStore | undefined;
  const { connection, die } = await link.client((each) => {
    linked = linkStore(each, () => {});
  });
  const { store: far } = linked as LinkedStore;
  const release = await far.lock(key, never);
  const closed = new Promise<void>((resolve) => connection.onClose(resolve));
  die();
  await closed;
  far.used([key]);
  release();
  const asked = [
    ...[far.create(recordOf()), far.read(key), far.note(key, { kind: 'level', level: 'debug' }), far.end(key, 'ended')],
    ...[far.rebind(key, 0, binding('i2', 'up-2')), far.claimStream(key), far.list({ limit: 1 }), far.lock(key, never)],
    ...[far.revokeCaller('ann', { issuer: 'x', subject: 'ann' }), far.revokedBefore('ann')],
  ];
  const outcomes = await Promise.allSettled(asked);
  expect(outcomes.map(({ status }) => status)).toEqual(asked.map(() => 'rejected'));
});

test('a supervisor that is gone makes sending silent: the end of the link is handled elsewhere', async () => {
  const { store: far, die } = await sidecar();
  const release = await far.lock(key, never);
  die();
  far.used([key]);
  release();
  await vi.waitFor(async () => expect(await store.lock(key, AbortSignal.timeout(1_000))).toBeTypeOf('function'));
});
