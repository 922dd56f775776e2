// What sessions still hold after an administrator has ended them: freed behind the answer, a few at a time.

import type { Logger } from 'pino';
import type { SessionKey, TenantId } from '../core/ids.ts';
import type { Limits } from '../quota/limits.ts';
import type { SessionRecord, SessionStore } from '../session/store.ts';

/** Servers that are told at once. */
const AT_ONCE = 16;
/** Of sessions beyond it only the slots are freed: their servers end them by their own idle rule. */
const MAX_WAITING = 10_000;

export interface FreeingDependencies {
  readonly store: Pick<SessionStore, 'read'>;
  readonly limits: Pick<Limits, 'releaseSlot'>;
  /** Ends a session on its own server; its wait is bounded. */
  readonly endUpstream: (record: SessionRecord, signal: AbortSignal) => Promise<void>;
  readonly log: Pick<Logger, 'debug' | 'warn'>;
}

export interface EndedSession {
  readonly key: SessionKey;
  readonly tenant: TenantId;
}

export interface Freeing {
  /** Never fails: the sessions are refused already, and what a server keeps of them it forgets by itself, only later. */
  free(ended: readonly EndedSession[]): void;
  /** Gives up what has not been done yet. */
  close(): void;
}

export function createFreeing({ store, limits, endUpstream, log }: FreeingDependencies): Freeing {
  const waiting: SessionKey[] = [];
  const closing = new AbortController();
  let running = 0;

  const freeOne = async (key: SessionKey): Promise<void> => {
    try {
      // Read now: the session may have been opened again elsewhere up to the moment of its end.
      const record = await store.read(key);
      if (record) await endUpstream(record, closing.signal);
    } catch (err) {
      log.debug({ session: key, err }, 'revoked session not ended on its server');
    }
  };

  const work = async (): Promise<void> => {
    running += 1;
    for (let key = waiting.shift(); key !== undefined; key = waiting.shift()) await freeOne(key);
    running -= 1;
  };

  return {
    free(ended) {
      for (const { key, tenant } of ended) limits.releaseSlot(tenant, key);
      if (closing.signal.aborted) return;
      const taken = ended.slice(0, MAX_WAITING - waiting.length);
      if (taken.length < ended.length) log.warn({ sessions: ended.length - taken.length }, 'revoked sessions left to their servers');
      waiting.push(...taken.map(({ key }) => key));
      for (let worker = Math.min(AT_ONCE - running, waiting.length); worker > 0; worker -= 1) void work();
    },
    close() {
      waiting.length = 0;
      closing.abort();
    },
  };
}
