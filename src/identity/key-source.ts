// The keys of one issuer as they are now: read in good time, kept while its endpoint is down, asked for again with moderation.

import type { Logger } from 'pino';
import { within } from '../core/within.ts';
import { type KeySet, sameKeys } from './key-set.ts';

/** A key that its issuer withdraws is refused after this time and one fetch, as long as requests come. */
const REFRESH_AFTER_MS = 600_000;
/** After a pause without requests: then the first one waits for the refresh instead of being answered from old keys. */
const WAIT_AFTER_MS = 1_200_000;
/** Keys that could not be confirmed for this long are not believed any more. */
const BELIEVE_FOR_MS = 24 * 3_600_000;
/** Between two fetches that tokens with unknown keys lead to: anybody can write such tokens. */
const COOL_DOWN_MS = 30_000;
const FETCH_TIMEOUT_MS = 5000;
/** Between attempts while the endpoint fails; doubled each time up to the cool-down. */
const FIRST_RETRY_MS = 1000;

export interface KeySource {
  /** Without waiting. A refresh starts in the background when it is time. Undefined: wait for `settled`. */
  current(): KeySet | undefined;
  /** After the refresh that runs or is due; undefined when there are no keys that may be believed. */
  settled(): Promise<KeySet | undefined>;
  /** For a token whose key is not among them: reads them once more, unless that was done a moment ago. */
  again(): Promise<KeySet | undefined>;
  /** Whether the last attempt to read them failed. */
  failing(): boolean;
  close(): void;
}

export interface KeySourceOptions {
  readonly issuer: string;
  /** Reads the keys from the issuer. What comes after the timeout is not used, so that no answer overtakes a later one. */
  readonly load: (signal: AbortSignal) => Promise<KeySet>;
  readonly log: Logger;
  readonly now: () => number;
  readonly onFetch?: ((outcome: 'ok' | 'failed') => void) | undefined;
  readonly timeoutMs?: number | undefined;
}

/** Starts to read the keys at once, so that a mistake is in the log before the first token comes. */
export function createKeySource({ issuer, load, log, now, onFetch, timeoutMs = FETCH_TIMEOUT_MS }: KeySourceOptions): KeySource {
  const closing = new AbortController();
  let keys: KeySet | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  let failedAt = Number.NEGATIVE_INFINITY;
  let askedAt = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let lastReason: string | undefined;
  let pending: Promise<void> | undefined;

  /** A clock that was set back must not stop the refreshes. */
  const since = (time: number): number => {
    const age = now() - time;
    return age < 0 ? Number.POSITIVE_INFINITY : age;
  };
  const believed = (): KeySet | undefined => (since(readAt) < BELIEVE_FOR_MS ? keys : undefined);

  const accept = (fresh: KeySet): void => {
    const changed = keys === undefined || !sameKeys(keys, fresh);
    if (changed) log.info({ issuer, keys: fresh.ids.size, ignored: fresh.ignored }, 'issuer keys read');
    else if (failures > 0) log.info({ issuer }, 'issuer keys can be read again');
    // The same object as long as they are the same keys: whoever has verified a token with them need not look again.
    if (changed) keys = fresh;
    readAt = now();
    failures = 0;
    lastReason = undefined;
  };

  const fail = (reason: string): void => {
    failures += 1;
    failedAt = now();
    if (reason !== lastReason) log.warn({ issuer, reason, known: believed()?.ids.size ?? 0 }, 'issuer keys cannot be read');
    lastReason = reason;
  };

  const attempt = async (): Promise<void> => {
    const over = new AbortController();
    try {
      const fresh = await within(load(AbortSignal.any([over.signal, closing.signal])), timeoutMs);
      if (closing.signal.aborted) return;
      accept(fresh);
      onFetch?.('ok');
    } catch (error) {
      if (closing.signal.aborted) return;
      fail((error as Error).message);
      onFetch?.('failed');
    } finally {
      over.abort();
    }
  };

  /** Single flight, and none soon after a failure. */
  const refresh = (): Promise<void> => {
    if (pending !== undefined) return pending;
    const pause = failures === 0 ? 0 : Math.min(COOL_DOWN_MS, FIRST_RETRY_MS * 2 ** (failures - 1));
    if (closing.signal.aborted || since(failedAt) < pause) return Promise.resolve();
    pending = attempt().finally(() => {
      pending = undefined;
    });
    return pending;
  };

  void refresh();
  return {
    current() {
      const age = since(readAt);
      if (age < REFRESH_AFTER_MS) return keys;
      void refresh();
      // While the endpoint fails nobody waits for it who can be answered without.
      return age < WAIT_AFTER_MS || failures > 0 ? believed() : undefined;
    },
    async settled() {
      if (since(readAt) >= REFRESH_AFTER_MS) await refresh();
      return believed();
    },
    async again() {
      // While the endpoint fails, the pause between attempts is limit enough.
      if (pending === undefined && failures === 0 && since(askedAt) < COOL_DOWN_MS) return believed();
      askedAt = now();
      await refresh();
      return believed();
    },
    failing: () => failures > 0,
    close: () => closing.abort(),
  };
}
