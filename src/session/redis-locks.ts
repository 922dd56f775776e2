// Locks by key among all processes that share a Redis: a key with a token, which lives as long as its holder renews it.

import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { createLocks, type Locks } from './locks.ts';
import type { SessionScripts } from './redis-scripts.ts';

/** What a holder that was killed leaves behind is gone after this time. */
const TTL_MS = 10_000;
/** Renewals in one life of a lock: two may fail. */
const RENEWALS = 3.3;
/** Between two attempts, with jitter: those who wait must not come in step. */
const SHORTEST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 100;

export interface RedisLocksOptions {
  readonly redis: Redis;
  readonly scripts: SessionScripts;
  readonly ttlMs?: number;
  readonly random?: () => number;
}

/**
 * Within the process those who wait stand in a queue, and the first of them asks Redis: a burst of requests to one session is one
 * question at a time. A holder whose lock has run out (it hung, or could not reach Redis) is not told: what it does under the lock is
 * safe by the generation that it replaces.
 */
export function createRedisLocks({ redis, scripts, ttlMs = TTL_MS, random = Math.random }: RedisLocksOptions): Locks {
  const local = createLocks();

  const take = async (key: string, token: string, signal: AbortSignal): Promise<void> => {
    while ((await redis.set(key, token, 'PX', ttlMs, 'NX')) === null) {
      await delay(SHORTEST_PAUSE_MS + random() * (LONGEST_PAUSE_MS - SHORTEST_PAUSE_MS), undefined, { signal });
    }
  };

  const free = (key: string, token: string): void => {
    // If Redis cannot be reached it frees the lock by itself.
    scripts.hold(key, token, 0).catch(() => {});
  };

  return {
    async acquire(key, signal) {
      const releaseLocal = await local.acquire(key, signal);
      const token = randomBytes(16).toString('base64url');
      try {
        await take(key, token, signal);
        signal.throwIfAborted();
      } catch (error) {
        // The attempt may have succeeded without anybody hearing of it.
        free(key, token);
        releaseLocal();
        throw signal.aborted ? signal.reason : error;
      }
      const renewal = setInterval(() => {
        scripts.hold(key, token, ttlMs).then(
          (held) => held || clearInterval(renewal),
          () => {},
        );
      }, ttlMs / RENEWALS);
      let released = false;
      return () => {
        if (released) return;
        released = true;
        clearInterval(renewal);
        free(key, token);
        releaseLocal();
      };
    },
  };
}
