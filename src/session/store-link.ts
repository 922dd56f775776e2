// The session store seen from another process: the same operations over one connection, and the news pushed the other way.

import type { CancellationToken, MessageConnection } from 'vscode-jsonrpc/node';
import { CancellationTokenSource } from 'vscode-jsonrpc/node';
import type { InstanceId, SessionKey } from '../core/ids.ts';
import type { MemoryStore } from './memory-store.ts';
import { createNewsCopy } from './news-copy.ts';
import type {
  Binding,
  Revocation,
  SessionChange,
  SessionEnd,
  SessionFeed,
  SessionNews,
  SessionQuery,
  SessionRecord,
  SessionStore,
  SessionSummary,
} from './store.ts';

/** The store says at least this often that it is alive, with the session counts of all instances. */
const BEAT_MS = 250;
/** Without a sign of life for so long a sidecar's copy of the news is no longer believed. */
const STALE_MS = 1_000;

interface Beat {
  readonly counts: readonly (readonly [InstanceId, number])[];
}

/** Answers one sidecar. Locks that it holds are released when the connection ends. */
export function serveStore(connection: MessageConnection, store: MemoryStore): void {
  const held = new Map<number, () => void>();
  const waiting = new Set<AbortController>();
  let lockNumber = 0;
  connection.onRequest('session/create', (record: SessionRecord) => store.create(record));
  connection.onRequest('session/read', async (key: SessionKey) => (await store.read(key)) ?? null);
  connection.onRequest('session/note', (key: SessionKey, change: SessionChange) => store.note(key, change));
  connection.onRequest('session/rebind', async (key: SessionKey, from: number, to: Omit<Binding, 'generation'>) => {
    return (await store.rebind(key, from, to)) ?? null;
  });
  connection.onRequest('session/end', (key: SessionKey, end: SessionEnd | null) => store.end(key, end ?? undefined));
  connection.onRequest<boolean, Error>('session/claim-stream', (key: SessionKey) => store.claimStream(key));
  connection.onRequest('session/lock', async (key: SessionKey, token: CancellationToken) => {
    const abort = new AbortController();
    token.onCancellationRequested(() => abort.abort(new Error('lock: no longer wanted')));
    waiting.add(abort);
    try {
      const release = await store.lock(key, abort.signal);
      if (abort.signal.aborted) {
        release();
        throw abort.signal.reason;
      }
      lockNumber += 1;
      held.set(lockNumber, release);
      return lockNumber;
    } finally {
      waiting.delete(abort);
    }
  });
  connection.onRequest('session/list', (query: SessionQuery) => store.list(query));
  connection.onRequest('session/revoke-caller', (caller: string, who: { issuer: string; subject: string }) =>
    store.revokeCaller(caller, who),
  );
  connection.onRequest('session/revoked-before', async (caller: string) => (await store.revokedBefore(caller)) ?? null);
  connection.onNotification('session/used', (keys: SessionKey[]) => store.used(keys));
  connection.onNotification('session/unlock', (number: number) => {
    held.get(number)?.();
    held.delete(number);
  });

  for (const news of store.news()) send(connection, 'session/news', news);
  for (const revocation of store.revocations()) send(connection, 'session/revocation', revocation);
  const stopRevocations = store.onRevocation((revocation) => send(connection, 'session/revocation', revocation));
  const stopNews = store.onNews((news) => send(connection, 'session/news', news));
  let told = '';
  const beat = setInterval(() => {
    const counts = [...store.countByInstance()];
    const text = JSON.stringify(counts);
    send(connection, 'session/beat', { counts: text === told ? undefined : counts });
    told = text;
  }, BEAT_MS);

  connection.onClose(() => {
    clearInterval(beat);
    stopNews();
    stopRevocations();
    for (const abort of waiting) abort.abort(new Error('lock: its sidecar is gone'));
    for (const release of held.values()) release();
    held.clear();
  });
}

export interface LinkedStore {
  readonly store: SessionStore;
  readonly feed: SessionFeed;
}

/** The sidecar's side. `onCounts` receives the number of open sessions of every instance that has any. */
export function linkStore(
  connection: MessageConnection,
  onCounts: (counts: ReadonlyMap<InstanceId, number>) => void,
  now: () => number = Date.now,
): LinkedStore {
  const copy = createNewsCopy();
  let heard = now();
  connection.onNotification('session/news', (item: SessionNews) => {
    heard = now();
    copy.put(item);
  });
  connection.onNotification('session/revocation', (revocation: Revocation) => {
    heard = now();
    copy.callers.add(revocation);
  });
  connection.onNotification('session/beat', (beat: Partial<Beat>) => {
    heard = now();
    if (beat.counts) onCounts(new Map(beat.counts));
  });

  // Async, because a connection that has ended throws.
  const ask = async <T>(method: string, ...params: unknown[]): Promise<T> => (await connection.sendRequest(method, ...params)) as T;

  return {
    feed: { find: copy.find, revoked: copy.callers.covers, fresh: () => now() - heard < STALE_MS },
    store: {
      create: (record) => ask('session/create', record),
      read: async (key) => (await ask<SessionRecord | null>('session/read', key)) ?? undefined,
      note: (key, change) => ask('session/note', key, change),
      rebind: async (key, from, to) => (await ask<Binding | null>('session/rebind', key, from, to)) ?? undefined,
      end: (key, end) => ask('session/end', key, end ?? null),
      claimStream: (key) => ask('session/claim-stream', key),
      list: (query) => ask<SessionSummary[]>('session/list', query),
      revokeCaller: (caller, who) => ask<number>('session/revoke-caller', caller, who),
      revokedBefore: async (caller) => (await ask<number | null>('session/revoked-before', caller)) ?? undefined,
      used: (keys) => send(connection, 'session/used', keys),
      async lock(key, signal) {
        signal.throwIfAborted();
        const cancel = new CancellationTokenSource();
        const abort = (): void => cancel.cancel();
        signal.addEventListener('abort', abort, { once: true });
        try {
          const number = await (connection.sendRequest('session/lock', key, cancel.token) as Promise<number>);
          return () => send(connection, 'session/unlock', number);
        } finally {
          signal.removeEventListener('abort', abort);
        }
      },
    },
  };
}

/**
 * The other side may be gone at any moment; `onClose` is where that is handled. A connection that has ended throws instead of
 * rejecting, which in a timer would be the end of the process.
 */
function send(connection: MessageConnection, method: string, params: unknown): void {
  try {
    connection.sendNotification(method, params).catch(() => {});
  } catch {
    // As above.
  }
}
