// The sessions of a fleet on one Redis: store, feed, locks and housekeeping over two connections.

import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { BackendName, InstanceId, SessionKey } from '../core/ids.ts';
import { createRedisFeed } from './redis-feed.ts';
import { createHousekeeping } from './redis-housekeeping.ts';
import { redisKeys } from './redis-keys.ts';
import { createRedisLocks } from './redis-locks.ts';
import { answersOf } from './redis-record.ts';
import { createRestorer, type Restorer } from './redis-restore.ts';
import { createSessionScripts } from './redis-scripts.ts';
import { createRedisStore } from './redis-store.ts';
import { createUses } from './redis-uses.ts';
import type { SessionFeed, SessionRecord, SessionStore } from './store.ts';

const COUNT_MS = 1_000;

export interface RedisSessions {
  readonly store: SessionStore;
  readonly feed: SessionFeed;
  /** Resolves when all news have been read for the first time; waits as long as Redis cannot be reached. */
  readonly ready: Promise<void>;
  /** Open sessions of each of these instances. */
  countByInstance(instances: readonly InstanceId[]): Promise<Map<InstanceId, number>>;
  /** Counts every second. While Redis cannot be reached nothing is reported: the last counts are the best there are. */
  watchCounts(instances: () => readonly InstanceId[], onCounts: (counts: ReadonlyMap<InstanceId, number>) => void): void;
  /**
   * At most `limit` open sessions that are on an instance, could be opened again elsewhere, and were last used before the moment
   * (milliseconds since 1970) that `before` names for their backend. Nothing when another process has just asked: one sweeps for all.
   */
  idle(before: ReadonlyMap<BackendName, number>, limit: number): Promise<SessionRecord[]>;
  /** Forgets what has expired, unless another process has just done so. Happens by itself, too. */
  tidy(): Promise<void>;
  /** Ends the timers. The connections stay with whoever made them. */
  close(): void;
}

export interface RedisSessionsOptions {
  readonly redis: Redis;
  /** Made with `subscriber: true`. */
  readonly subscriber: Redis;
  readonly log: Logger;
  readonly now?: () => number;
  /** Of a lock whose holder was killed. */
  readonly lockTtlMs?: number;
}

export function createRedisSessions({ redis, subscriber, log, now = Date.now, lockTtlMs }: RedisSessionsOptions): RedisSessions {
  const scripts = createSessionScripts(redis, now);
  const locks = createRedisLocks({ redis, scripts, ...(lockTtlMs === undefined ? {} : { ttlMs: lockTtlMs }) });
  const housekeeping = createHousekeeping(redis, scripts, now);
  let restorer: Restorer | undefined;
  const feed = createRedisFeed({ redis, subscriber, onCaughtUp: () => restorer?.reconnected(), log, now });
  restorer = createRestorer({ redis, scripts, copy: feed.copy, log });
  const used = createUses((keys) => scripts.run('use', redisKeys.open, ...keys), now);
  const store = createRedisStore({
    redis,
    scripts,
    used,
    lock: (key: SessionKey, signal) => locks.acquire(redisKeys.lock(key), signal),
    now,
  });

  const countByInstance = async (instances: readonly InstanceId[]): Promise<Map<InstanceId, number>> => {
    if (instances.length === 0) return new Map();
    const pipeline = redis.pipeline();
    for (const instance of instances) pipeline.scard(redisKeys.instance(instance));
    const counts = answersOf(await pipeline.exec()) as number[];
    return new Map(instances.map((instance, n) => [instance, counts[n] ?? 0]));
  };

  const timers: NodeJS.Timeout[] = [];
  return {
    store,
    feed,
    ready: feed.ready,
    countByInstance,
    watchCounts(instances, onCounts) {
      const count = (): void => void countByInstance(instances()).then(onCounts, () => {});
      timers.push(setInterval(count, COUNT_MS));
      count();
    },
    idle: housekeeping.idle,
    tidy: housekeeping.tidy,
    close() {
      for (const timer of timers) clearInterval(timer);
      housekeeping.close();
      restorer.close();
      feed.close();
    },
  };
}
