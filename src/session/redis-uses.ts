// The last use of sessions on its way to Redis: a session that is used all the time is written now and then.

import { createBoundedCache } from '../core/bounded-cache.ts';
import type { SessionKey } from '../core/ids.ts';

/** An idle sweep has to allow for so much. */
export const USE_WRITTEN_MS = 30_000;
/** Of more sessions the uses are written more often than necessary. */
const MAX_REMEMBERED = 100_000;
/** Sessions in one script. */
const WRITTEN_AT_ONCE = 200;

/** The answer never waits and never fails. A use that could not be written is written with the next one. */
export function createUses(
  write: (keys: readonly SessionKey[]) => Promise<unknown>,
  now: () => number,
): (keys: readonly SessionKey[]) => void {
  const written = createBoundedCache<SessionKey, number>(MAX_REMEMBERED);
  return (keys) => {
    const due = keys.filter((key) => now() - (written.get(key) ?? Number.NEGATIVE_INFINITY) >= USE_WRITTEN_MS);
    for (let at = 0; at < due.length; at += WRITTEN_AT_ONCE) {
      const some = due.slice(at, at + WRITTEN_AT_ONCE);
      for (const key of some) written.set(key, now());
      write(some).catch(() => {
        for (const key of some) written.set(key, Number.NEGATIVE_INFINITY);
      });
    }
  };
}
