// When Redis has lost its data: what an administrator has revoked is written back by those who still know it.

import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import type { NewsCopy } from './news-copy.ts';
import { redisKeys } from './redis-keys.ts';
import { formatNews, type ToldNews } from './redis-news.ts';
import type { SessionScripts } from './redis-scripts.ts';

/** How soon a loss is noticed that did not break the connection (FLUSHALL). */
const CHECK_MS = 1_000;
/** Revocations in one script. */
const RESTORED_AT_ONCE = 500;

export interface Restorer {
  /** Looks at once, and writes back even if nothing seems lost: an older copy of the data (a snapshot) looks like the data. */
  reconnected(): void;
  close(): void;
}

export interface RestorerDependencies {
  readonly redis: Redis;
  readonly scripts: SessionScripts;
  readonly copy: NewsCopy<ToldNews>;
  readonly log: Logger;
}

/**
 * Records and bindings are not restored: without them a session is not recovered when its instance goes, no more. A revocation that
 * is forgotten would open a session again, for a process that starts later.
 */
export function createRestorer({ redis, scripts, copy, log }: RestorerDependencies): Restorer {
  let known: string | undefined;
  let running = false;
  let suspicious = false;

  const writeBack = async (): Promise<void> => {
    const callers = copy.callers.all().flatMap(({ caller, before }) => [caller, before]);
    for (const some of chunks(callers, 2 * RESTORED_AT_ONCE)) await scripts.run('restoreCallers', redisKeys.callers, ...some);
    const sessions = [...copy.revoked()].flatMap((news) => [news.key, news.expiresAt, formatNews(news)]);
    for (const some of chunks(sessions, 3 * RESTORED_AT_ONCE)) await scripts.run('restoreSessions', redisKeys.news, ...some);
  };

  const check = async (): Promise<void> => {
    const epoch = (await redis.get(redisKeys.epoch)) ?? undefined;
    if (epoch !== undefined && epoch === known && !suspicious) return;
    suspicious = false;
    if (known !== undefined) await writeBack();
    if (known !== undefined && epoch !== known) log.warn('Redis has lost the session data: revocations written back');
    // Last, so that a failure before is followed by another attempt.
    await redis.set(redisKeys.epoch, randomBytes(9).toString('base64url'), 'NX');
    known = (await redis.get(redisKeys.epoch)) ?? undefined;
  };

  const checkOnce = (): void => {
    if (running) return;
    running = true;
    const failed = (): void => {
      // Redis is out of reach, which others report.
      suspicious = true;
    };
    void check()
      .catch(failed)
      .finally(() => {
        running = false;
      });
  };

  const checking = setInterval(checkOnce, CHECK_MS);
  return {
    reconnected() {
      suspicious = true;
      checkOnce();
    },
    close: () => clearInterval(checking),
  };
}

function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}
