// The order in which news can arrive: what is read as a whole and what is published overtake each other.

import { EventEmitter } from 'node:events';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { binding, sessionKey } from '../../test/fakes/sessions.ts';
import { eventually } from '../../test/harness/eventually.ts';
import { createRedisFeed, type RedisFeed } from './redis-feed.ts';
import { formatNews, parseMessage, parseNews, type ToldNews } from './redis-news.ts';
import type { SessionEnd } from './store.ts';

const key = sessionKey('a');

const told = (version: number, generation: number, end?: SessionEnd): string =>
  formatNews({ key, version, expiresAt: 9e12, binding: { generation, ...binding(`i${generation}`, 'up') }, ended: end !== undefined, end });

/** Redis in the test's hand: what is asked waits until the test answers. */
function fakeRedis() {
  const scans: ((texts: string[], cursor?: string) => void)[] = [];
  const pongs: (() => void)[] = [];
  const emitter = new EventEmitter();
  const subscriber = Object.assign(emitter, {
    status: 'connecting',
    options: {},
    subscribe: async () => 1,
    ping: () => new Promise<void>((resolve) => pongs.push(resolve)),
  });
  const redis = {
    hscan: () => new Promise((resolve) => scans.push((texts, cursor = '0') => resolve([cursor, texts.flatMap((text) => ['k', text])]))),
    zrange: async () => ['ann', '100'],
  };
  return {
    redis: redis as unknown as Redis,
    subscriber: subscriber as unknown as Redis,
    publish: (text: string) => emitter.emit('message', 'channel', text),
    connect() {
      subscriber.status = 'ready';
      emitter.emit('ready');
    },
    lose() {
      subscriber.status = 'reconnecting';
      emitter.emit('close');
    },
    asked: () => eventually(() => expect(scans).toHaveLength(1)),
    async scan(texts: string[], cursor?: string) {
      await this.asked();
      scans.shift()?.(texts, cursor);
    },
    pongs,
  };
}

let fake: ReturnType<typeof fakeRedis>;
let feed: RedisFeed;
let clock: number;
const caughtUp = vi.fn<() => void>();
const open = (): void => {
  feed = createRedisFeed({ ...fake, onCaughtUp: caughtUp, log: pino({ level: 'silent' }), now: () => clock });
};
beforeEach(() => {
  clock = 10_000;
  caughtUp.mockClear();
  fake = fakeRedis();
});
afterEach(() => feed.close());

const generation = () => feed.find(key)?.binding.generation;

test('what was published later wins over what is read late, in either order', async () => {
  open();
  fake.connect();
  await fake.asked();
  fake.publish(`s\n${told(3, 3)}`);
  await fake.scan([told(2, 2)], '7');
  await fake.scan([told(1, 1)]);
  await feed.ready;
  expect(generation()).toBe(3);
  fake.publish(`s\n${told(2, 2)}`);
  expect(generation()).toBe(3);
  fake.publish(`s\n${told(4, 4)}`);
  expect(generation()).toBe(4);
  expect(feed.revoked('ann', 100)).toBe(true);
});

test('an ending that is taken back while all is read stays taken back', async () => {
  open();
  fake.connect();
  await fake.asked();
  fake.publish(`s\n${told(1, 0, 'ending')}`);
  expect(feed.find(key)?.ended).toBe(true);
  fake.publish(`s\n${told(2, 0)}`);
  expect(feed.find(key)).toBeUndefined();
  await fake.scan([told(1, 0, 'ending')]);
  await feed.ready;
  expect(feed.find(key)).toBeUndefined();
});

describe('after a lost connection', () => {
  const reconnectWith = async (texts: string[]): Promise<void> => {
    fake.lose();
    fake.connect();
    await fake.scan(texts);
    await eventually(() => expect(caughtUp).toHaveBeenCalledTimes(2));
  };
  const start = async (text: string): Promise<void> => {
    open();
    fake.connect();
    await fake.scan([text]);
    await feed.ready;
  };

  test('an ending that was taken back meanwhile is forgotten', async () => {
    await start(told(1, 0, 'ending'));
    await reconnectWith([]);
    expect(feed.find(key)).toBeUndefined();
  });

  test.each<[string, number, SessionEnd | undefined]>([
    ['a binding', 1, undefined],
    ['an end', 0, 'ended'],
    ['a revocation', 0, 'revoked'],
  ])('%s that Redis has lost stays true', async (_, of, end) => {
    await start(told(1, of, end));
    await reconnectWith([]);
    expect(feed.find(key)).toMatchObject({ ended: end !== undefined, binding: { generation: of } });
    expect(feed.revoked('ann', 100)).toBe(true);
  });

  test('what was begun on the old connection does not count', async () => {
    open();
    fake.connect();
    await fake.asked();
    fake.lose();
    await fake.scan([told(1, 1)]);
    await new Promise(setImmediate);
    expect(caughtUp).not.toHaveBeenCalled();
    expect(feed.fresh()).toBe(false);
  });
});

test('fresh is counted from the question, not from the answer', async () => {
  vi.useFakeTimers();
  try {
    open();
    fake.connect();
    for (let n = 0; n < 3; n += 1) await vi.advanceTimersByTimeAsync(0);
    await fake.scan([]);
    await vi.advanceTimersByTimeAsync(250);
    expect(feed.fresh()).toBe(false);
    clock += 600;
    await vi.advanceTimersByTimeAsync(1_000);
    expect(fake.pongs).toHaveLength(1);
    fake.pongs.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
    expect(feed.fresh()).toBe(true);
    clock += 399;
    expect(feed.fresh()).toBe(true);
    clock += 1;
    expect(feed.fresh()).toBe(false);
    fake.lose();
    clock = 10_000;
    expect(feed.fresh()).toBe(false);
  } finally {
    vi.useRealTimers();
  }
});

describe('texts', () => {
  const news: ToldNews = {
    ...{ key, version: 7, expiresAt: 9e12, ended: true, end: 'revoked', revoked: true },
    binding: { generation: 2, ...binding('', 'a\nb') },
  };

  test('are read as they were written', () => {
    expect(parseNews(formatNews(news))).toEqual(news);
    expect(parseMessage(`s\n${formatNews(news)}`)).toEqual({ kind: 's', news });
    expect(parseMessage('c\nann\n100')).toEqual({ kind: 'c', revocation: { caller: 'ann', before: 100 } });
  });

  test.each(['', 's\n', 's\na\nb', 's\na\n1\n1\nx\n\ni\nu', 'c\n', 'c\nann', 'c\nann\nx', 'z\nann\n1'])(
    'that are none are left alone: %j',
    (text) => {
      expect(parseMessage(text)).toBeUndefined();
    },
  );
});
