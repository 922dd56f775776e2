// Session records in the memory of one process: the supervisor's store, and the oracle that other forms are tested against.

import type { BackendName, InstanceId, SessionKey } from '../core/ids.ts';
import { createLocks } from './locks.ts';
import { applyChange, isListed, isNews, isOver, listLimit, newsOf, summaryOf, tombstone } from './record-changes.ts';
import { sizeOf } from './record-size.ts';
import { createRevocations } from './revocations.ts';
import {
  ENDING_TTL_MS,
  NO_INSTANCE,
  type Revocation,
  type SessionNews,
  type SessionRecord,
  type SessionStore,
  type SessionSummary,
} from './store.ts';

/** Beyond this the record that expires first is dropped: its session works on, but cannot be recovered. */
const MAX_RECORDS = 100_000;
/** Likewise: as many records of usual size, or the few thousand that somebody has filled as far as one record can be filled. */
const MAX_BYTES = 128 * 1024 * 1024;
/** So many of the oldest records are looked at to find an ended one. */
const MAX_LOOKED_AT = 1_000;

/** What is kept over a restart. */
export type StoredEntry = SessionRecord | Revocation;

export interface MemoryStore extends SessionStore {
  /** Records whose sealed id is no longer the whole truth: what a sidecar that has just connected must know. */
  news(): SessionNews[];
  /** Called on each rebinding and each end. Returns the function that stops it. */
  onNews(listener: (news: SessionNews) => void): () => void;
  revocations(): Revocation[];
  onRevocation(listener: (revocation: Revocation) => void): () => void;
  /** Called with each record as it is after a change, and with each revocation; for persistence. */
  onChange(listener: (entry: StoredEntry) => void): () => void;
  records(): IterableIterator<SessionRecord>;
  /** All that `onChange` would have to tell somebody who comes now. */
  entries(): Iterable<StoredEntry>;
  /** Open sessions per instance: what "least loaded" means for a new session. */
  countByInstance(): Map<InstanceId, number>;
  /**
   * At most `limit` open sessions that are on an instance, could be opened again elsewhere, and were last used before the moment
   * (milliseconds since 1970) that `before` names for their backend.
   */
  idle(before: ReadonlyMap<BackendName, number>, limit: number): Promise<SessionRecord[]>;
  /** Drops records whose id has expired, and settles endings without an outcome. */
  sweep(): void;
}

export interface MemoryStoreOptions {
  readonly now?: () => number;
  readonly initial?: Iterable<StoredEntry>;
}

export function createMemoryStore({ now = Date.now, initial = [] }: MemoryStoreOptions = {}): MemoryStore {
  const records = new Map<SessionKey, SessionRecord>();
  const endingSince = new Map<SessionKey, number>();
  const lastUsed = new Map<SessionKey, number>();
  const counts = new Map<InstanceId, number>();
  const newsListeners = new Set<(news: SessionNews) => void>();
  const revocationListeners = new Set<(revocation: Revocation) => void>();
  const changeListeners = new Set<(entry: StoredEntry) => void>();
  const revocations = createRevocations();
  const locks = createLocks();
  let bytes = 0;

  const count = (record: SessionRecord, by: 1 | -1): void => {
    if (record.end || record.binding.instance === NO_INSTANCE) return;
    const { instance } = record.binding;
    const next = (counts.get(instance) ?? 0) + by;
    if (next > 0) counts.set(instance, next);
    else counts.delete(instance);
  };

  const put = (record: SessionRecord): void => {
    remove(record.key);
    // Re-inserting keeps the map in order of last change, so that eviction meets the least recently changed first.
    records.set(record.key, record);
    bytes += sizeOf(record);
    count(record, 1);
    if (record.end !== 'ending') endingSince.delete(record.key);
    for (const listener of changeListeners) listener(record);
    while (records.size > MAX_RECORDS || bytes > MAX_BYTES) forget(leastWorthKeeping(records.values()));
  };

  const remove = (key: SessionKey): void => {
    const record = records.get(key);
    if (!record) return;
    count(record, -1);
    bytes -= sizeOf(record);
    records.delete(key);
  };

  const forget = (key: SessionKey): void => {
    remove(key);
    lastUsed.delete(key);
    endingSince.delete(key);
  };

  const announce = (record: SessionRecord): void => {
    for (const listener of newsListeners) listener(newsOf(record));
  };

  const find = (key: SessionKey): SessionRecord | undefined => {
    const record = records.get(key);
    if (!record || record.expiresAt <= now()) return undefined;
    return settled(record);
  };

  const settled = (record: SessionRecord): SessionRecord => {
    if (record.end !== 'ending' || now() - (endingSince.get(record.key) ?? 0) <= ENDING_TTL_MS) return record;
    const over = tombstone(record, 'ended');
    put(over);
    return over;
  };

  const usedAt = (record: SessionRecord): number => lastUsed.get(record.key) ?? record.createdAt;

  for (const entry of initial) {
    if ('caller' in entry) {
      revocations.add(entry);
      continue;
    }
    put(entry.end ? tombstone(entry, entry.end === 'revoked' ? 'revoked' : 'ended') : entry);
    // The last use is not on disk. Counted from its creation a busy old session would be ended as idle at once.
    lastUsed.set(entry.key, now());
  }

  return {
    async create(record) {
      lastUsed.set(record.key, now());
      put(record);
    },
    async read(key) {
      return find(key);
    },
    async note(key, change) {
      const record = find(key);
      if (record && !record.end) put(applyChange(record, change));
    },
    async rebind(key, from, to) {
      const record = find(key);
      // Its client has given it up while somebody was opening it again.
      if (!record || record.end) return undefined;
      if (record.binding.generation !== from) return record.binding;
      const bound = { ...record, binding: { ...to, generation: from + 1 } };
      // Who opens it again uses it.
      if (to.instance !== NO_INSTANCE) lastUsed.set(key, now());
      put(bound);
      announce(bound);
      return bound.binding;
    },
    async end(key, end) {
      const record = find(key);
      if (!record || isOver(record)) return;
      if (end === 'ending') endingSince.set(key, now());
      const changed = end === 'ended' || end === 'revoked' ? tombstone(record, end) : { ...record, end };
      put(changed);
      announce(changed);
    },
    async claimStream(key) {
      const record = find(key);
      if (!record || record.streamGeneration >= record.binding.generation) return false;
      put({ ...record, streamGeneration: record.binding.generation });
      return true;
    },
    used(keys) {
      for (const key of keys) if (records.has(key)) lastUsed.set(key, now());
    },
    lock: locks.acquire,

    async list(query) {
      const found: SessionSummary[] = [];
      for (const record of records.values()) {
        if (!record.end && record.expiresAt > now() && isListed(record, query)) found.push(summaryOf(record, usedAt(record)));
      }
      return found.sort((a, b) => b.lastUsed - a.lastUsed).slice(0, listLimit(query));
    },
    async revokeCaller(caller, { issuer, subject }) {
      const revocation = { caller, before: Math.floor(now() / 1000) };
      if (revocations.add(revocation)) {
        for (const listener of changeListeners) listener(revocation);
        for (const listener of revocationListeners) listener(revocation);
      }
      let ended = 0;
      for (const record of [...records.values()]) {
        if (record.issuer !== issuer || record.subject !== subject || isOver(record) || record.expiresAt <= now()) continue;
        if (!record.end) ended += 1;
        // Not `revoked`: the caller's revocation, which is kept apart, says so of them all.
        const over = tombstone(record, 'ended');
        put(over);
        announce(over);
      }
      return ended;
    },
    async revokedBefore(caller) {
      return revocations.before(caller);
    },

    news: () => [...records.values()].filter(isNews).map(newsOf),
    onNews: (listener) => subscribe(newsListeners, listener),
    revocations: revocations.all,
    onRevocation: (listener) => subscribe(revocationListeners, listener),
    onChange: (listener) => subscribe(changeListeners, listener),
    records: () => records.values(),
    *entries() {
      yield* records.values();
      yield* revocations.all();
    },
    countByInstance: () => new Map(counts),
    async idle(before, limit) {
      const found: SessionRecord[] = [];
      for (const record of records.values()) {
        if (found.length >= limit) break;
        if (record.end || record.binding.instance === NO_INSTANCE || record.initialize === '') continue;
        if (usedAt(record) < (before.get(record.backend) ?? Number.NEGATIVE_INFINITY)) found.push(record);
      }
      return found;
    },
    sweep() {
      for (const record of [...records.values()]) if (record.expiresAt <= now()) forget(record.key);
      for (const key of [...endingSince.keys()]) find(key);
      revocations.sweep(now());
    },
  };
}

/** Of the records that changed longest ago an ended one, else the first: who opens and ends sessions in a loop pushes out nobody else's. */
function leastWorthKeeping(oldestFirst: Iterable<SessionRecord>): SessionKey {
  let first: SessionRecord | undefined;
  let looked = 0;
  for (const record of oldestFirst) {
    if (record.end === 'ended') return record.key;
    // Without its record a revoked session would be open again for a sidecar that starts later.
    if (!first || (first.end === 'revoked' && record.end !== 'revoked')) first = record;
    looked += 1;
    if (looked === MAX_LOOKED_AT) break;
  }
  return (first as SessionRecord).key;
}

function subscribe<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
