// One process's copy of what the store has told: which sessions are not where their id says, and which are over.

import type { SessionKey } from '../core/ids.ts';
import { createRevocations, type Revocations } from './revocations.ts';
import { MAX_REVOKED, type SessionNews } from './store.ts';

/** What is forgotten beyond it costs a session one more look into the store, and is found there. */
const MAX_NEWS = 200_000;

export interface NewsCopy<News extends SessionNews = SessionNews> {
  readonly callers: Revocations;
  find(key: SessionKey): News | undefined;
  /** Replaces what was known of the session; news that say no more than its id does are forgotten at once. */
  put(news: News): void;
  forget(key: SessionKey): void;
  all(): Iterable<News>;
  /** Sessions that an administrator has ended. */
  revoked(): Iterable<News>;
}

/**
 * Revoked sessions have room of their own: with the others they would be pushed out by the many that end by themselves, and a session
 * whose server knows nothing of its revocation would be open again.
 */
export function createNewsCopy<News extends SessionNews = SessionNews>(): NewsCopy<News> {
  const ordinary = new Map<SessionKey, News>();
  const revoked = new Map<SessionKey, News>();

  const forget = (key: SessionKey): void => {
    ordinary.delete(key);
    revoked.delete(key);
  };

  return {
    callers: createRevocations(),
    find: (key) => ordinary.get(key) ?? (revoked.size === 0 ? undefined : revoked.get(key)),
    put(news) {
      forget(news.key);
      if (!news.ended && news.binding.generation === 0) return;
      const [room, most] = news.revoked ? [revoked, MAX_REVOKED] : [ordinary, MAX_NEWS];
      room.set(news.key, news);
      if (room.size > most) room.delete(room.keys().next().value as SessionKey);
    },
    forget,
    *all() {
      yield* ordinary.values();
      yield* revoked.values();
    },
    revoked: () => revoked.values(),
  };
}
