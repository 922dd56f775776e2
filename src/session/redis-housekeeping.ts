// What one process at a time does for all: forgetting sessions whose ids have expired, and finding those that nobody uses.

import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { BackendName, SessionKey } from '../core/ids.ts';
import { redisKeys } from './redis-keys.ts';
import { answersOf, readRecords } from './redis-record.ts';
import type { SessionScripts } from './redis-scripts.ts';
import { USE_WRITTEN_MS } from './redis-uses.ts';
import { NO_INSTANCE, type SessionRecord } from './store.ts';

const TIDY_MS = 10_000;
/** Shorter than the pause between two rounds: whoever held it need not free it, and if it dies the next round is another's. */
const TURN_MS = 8_000;
/** Sessions in one script, and scripts in one round. */
const TIDIED_AT_ONCE = 200;
const MAX_SCRIPTS = 50;

export interface Housekeeping {
  /** As `MemoryStore.idle`; nothing when another process had the turn a moment ago. */
  idle(before: ReadonlyMap<BackendName, number>, limit: number): Promise<SessionRecord[]>;
  /** Forgets what has expired, unless another process has just done so. Happens by itself, too. */
  tidy(): Promise<void>;
  close(): void;
}

export function createHousekeeping(redis: Redis, scripts: SessionScripts, now: () => number): Housekeeping {
  const self = randomBytes(9).toString('base64url');
  const hasTurn = async (key: string): Promise<boolean> => (await redis.set(key, self, 'PX', TURN_MS, 'NX')) !== null;

  const tidy = async (): Promise<void> => {
    if (!(await hasTurn(redisKeys.tidying))) return;
    for (let n = 0; n < MAX_SCRIPTS; n += 1) {
      if (((await scripts.run('tidy', redisKeys.expiry, TIDIED_AT_ONCE)) as number) < TIDIED_AT_ONCE) return;
    }
  };

  const candidates = async (before: ReadonlyMap<BackendName, number>, limit: number): Promise<[BackendName, SessionKey][]> => {
    const backends = [...before];
    const pipeline = redis.pipeline();
    for (const [backend, moment] of backends) {
      // The last use in Redis may be so much older than the last use.
      pipeline.zrangebyscore(redisKeys.idle(backend), '-inf', `(${moment - USE_WRITTEN_MS}`, 'LIMIT', 0, limit);
    }
    const answers = answersOf(await pipeline.exec()) as SessionKey[][];
    return backends.flatMap(([backend], n) => (answers[n] ?? []).map((key): [BackendName, SessionKey] => [backend, key])).slice(0, limit);
  };

  // Redis being out of reach is reported by others; what has expired is found in the next round.
  const tidying = setInterval(() => void tidy().catch(() => {}), TIDY_MS);
  return {
    tidy,
    async idle(before, limit) {
      if (before.size === 0 || !(await hasTurn(redisKeys.sweeping))) return [];
      const found = await candidates(before, limit);
      const records = await readRecords(
        redis,
        found.map(([, key]) => key),
        now(),
      );
      const there = new Set(records.map(({ key }) => key));
      // A record that Redis forgot by itself leaves its name in the index, where it would be found each time.
      const gone = found.filter(([, key]) => !there.has(key));
      await Promise.all(gone.map(([backend, key]) => redis.zrem(redisKeys.idle(backend), key)));
      return records.filter(({ end, binding }) => !end && binding.instance !== NO_INSTANCE);
    },
    close: () => clearInterval(tidying),
  };
}
