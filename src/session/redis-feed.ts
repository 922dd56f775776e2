// One process's view of the news on Redis: subscribed first, then read as a whole, then kept up by what is published.

import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { SessionKey } from '../core/ids.ts';
import { createNewsCopy, type NewsCopy } from './news-copy.ts';
import { NEWS_CHANNEL, redisKeys } from './redis-keys.ts';
import { parseMessage, parseNews, type ToldNews } from './redis-news.ts';
import type { SessionFeed } from './store.ts';

const PING_MS = 250;
/** As long as the last proof of life is not older, nothing can have been missed for longer. */
const STALE_MS = 1_000;
/** The subscription stands, but the news could not be read: so long until the next attempt. */
const RETRY_MS = 250;
/** News that Redis hands over at a time: requests are answered between two pages. */
const PAGE = 200;

export interface RedisFeed extends SessionFeed {
  readonly copy: NewsCopy<ToldNews>;
  /** Resolves when all news have been read for the first time. */
  readonly ready: Promise<void>;
  close(): void;
}

export interface RedisFeedDependencies {
  readonly redis: Redis;
  /** A connection of its own: messages and pongs come over it in the order in which Redis sent them. */
  readonly subscriber: Redis;
  /** All news have been read after the connection was lost. */
  readonly onCaughtUp: () => void;
  readonly log: Logger;
  readonly now: () => number;
}

export function createRedisFeed({ redis, subscriber, onCaughtUp, log, now }: RedisFeedDependencies): RedisFeed {
  const copy = createNewsCopy<ToldNews>();
  // The connection's number, so that what was begun on an earlier one does not count for this one.
  let epoch = 0;
  let caughtUp = false;
  let heard = Number.NEGATIVE_INFINITY;
  // What came over the channel while all is being read: an answer of Redis may be older than a message that overtook it.
  let meanwhile: Map<SessionKey, ToldNews> | undefined;
  let resolveReady = (): void => {};
  const ready = new Promise<void>((resolve) => {
    resolveReady = resolve;
  });

  const take = (news: ToldNews): void => {
    const known = meanwhile?.get(news.key) ?? copy.find(news.key);
    if (!known || news.version > known.version) copy.put(news);
  };

  const onMessage = (_channel: string, text: string): void => {
    const message = parseMessage(text);
    if (message?.kind === 'c') copy.callers.add(message.revocation);
    if (message?.kind !== 's') return;
    take(message.news);
    meanwhile?.set(message.news.key, message.news);
  };

  const readAll = async (isCurrent: () => boolean): Promise<void> => {
    const live = new Map<SessionKey, ToldNews>();
    const read = new Set<SessionKey>();
    meanwhile = live;
    let cursor = '0';
    do {
      const [next, flat] = await redis.hscan(redisKeys.news, cursor, 'COUNT', PAGE);
      if (!isCurrent()) return;
      for (let at = 1; at < flat.length; at += 2) {
        const news = parseNews(flat[at] ?? '');
        if (!news) continue;
        read.add(news.key);
        take(news);
      }
      cursor = next;
    } while (cursor !== '0');
    const callers = await redis.zrange(redisKeys.callers, 0, '-1', 'WITHSCORES');
    if (!isCurrent()) return;
    for (let at = 0; at + 1 < callers.length; at += 2) copy.callers.add({ caller: callers[at] ?? '', before: Number(callers[at + 1]) });
    // Bindings and ends stay true, even if Redis has lost them. An `ending` that was taken back while nobody listened has left no trace.
    for (const { key, end } of [...copy.all()]) if (end === 'ending' && !read.has(key) && !live.has(key)) copy.forget(key);
    meanwhile = undefined;
  };

  const catchUp = async (): Promise<void> => {
    epoch += 1;
    const mine = epoch;
    const isCurrent = (): boolean => epoch === mine;
    while (isCurrent()) {
      try {
        await subscriber.subscribe(NEWS_CHANNEL);
        await readAll(isCurrent);
        if (!isCurrent()) return;
        caughtUp = true;
        resolveReady();
        onCaughtUp();
        return;
      } catch (err) {
        if (isCurrent()) log.warn({ err }, 'session news not read');
        await delay(RETRY_MS);
      }
    }
  };

  // ioredis would subscribe once more after a reconnect, and nobody hears of it when that fails: a rejection that ends the process.
  subscriber.options.autoResubscribe = false;
  const onReady = (): void => void catchUp();
  const onClose = (): void => {
    epoch += 1;
    caughtUp = false;
    meanwhile = undefined;
  };
  subscriber.on('message', onMessage);
  subscriber.on('ready', onReady);
  subscriber.on('close', onClose);
  if (subscriber.status === 'ready') onReady();

  let asking = false;
  const pinging = setInterval(() => {
    if (asking || subscriber.status !== 'ready') return;
    asking = true;
    // The answer proves that all that was published before the question has arrived.
    const asked = now();
    const answered = (): void => {
      heard = asked;
      asking = false;
    };
    subscriber.ping().then(answered, () => {
      asking = false;
    });
  }, PING_MS);

  return {
    copy,
    ready,
    find: copy.find,
    revoked: copy.callers.covers,
    fresh: () => caughtUp && now() - heard < STALE_MS,
    close() {
      onClose();
      clearInterval(pinging);
      subscriber.off('message', onMessage);
      subscriber.off('ready', onReady);
      subscriber.off('close', onClose);
    },
  };
}
