// Session records in the memory of one process: the supervisor's store, and the oracle that other forms are tested against.

import type { InstanceId, SessionKey } from '../core/ids.ts';
import { createLocks } from './locks.ts';
import {
  MAX_NOTED_CHARS,
  MAX_SUBSCRIPTIONS,
  NO_INSTANCE,
  type SessionChange,
  type SessionNews,
  type SessionRecord,
  type SessionStore,
} from './store.ts';

/** Beyond this the record that expires first is dropped: its session works on, but cannot be recovered. */
const MAX_RECORDS = 100_000;
/** So many of the oldest records are looked at to find an ended one. */
const MAX_LOOKED_AT = 1_000;
/** A DELETE whose outcome nobody reported (its sidecar died) counts as done after this time: its client has given the session up. */
const ENDING_TTL_MS = 60_000;

export interface MemoryStore extends SessionStore {
  /** Records whose sealed id is no longer the whole truth: what a sidecar that has just connected must know. */
  news(): SessionNews[];
  /** Called on each rebinding and each end. Returns the function that stops it. */
  onNews(listener: (news: SessionNews) => void): () => void;
  /** Called with each record as it is after a change; for persistence. */
  onChange(listener: (record: SessionRecord) => void): () => void;
  records(): IterableIterator<SessionRecord>;
  /** Open sessions per instance: what "least loaded" means for a new session. */
  countByInstance(): Map<InstanceId, number>;
  /** Open sessions on an instance with the time of their last use, in milliseconds since 1970. */
  inUse(): IterableIterator<readonly [SessionRecord, lastUsed: number]>;
  /** Drops records whose id has expired, and settles endings without an outcome. */
  sweep(): void;
}

export interface MemoryStoreOptions {
  readonly now?: () => number;
  readonly initial?: Iterable<SessionRecord>;
}

export function createMemoryStore({ now = Date.now, initial = [] }: MemoryStoreOptions = {}): MemoryStore {
  const records = new Map<SessionKey, SessionRecord>();
  const endingSince = new Map<SessionKey, number>();
  const lastUsed = new Map<SessionKey, number>();
  const counts = new Map<InstanceId, number>();
  const newsListeners = new Set<(news: SessionNews) => void>();
  const changeListeners = new Set<(record: SessionRecord) => void>();
  const locks = createLocks();

  const count = (record: SessionRecord | undefined, by: 1 | -1): void => {
    if (!record || record.end || record.binding.instance === NO_INSTANCE) return;
    const { instance } = record.binding;
    const next = (counts.get(instance) ?? 0) + by;
    if (next > 0) counts.set(instance, next);
    else counts.delete(instance);
  };

  const put = (record: SessionRecord): void => {
    count(records.get(record.key), -1);
    // Re-inserting keeps the map in order of last change, so that eviction meets the least recently changed first.
    records.delete(record.key);
    records.set(record.key, record);
    count(record, 1);
    if (record.end !== 'ending') endingSince.delete(record.key);
    for (const listener of changeListeners) listener(record);
    if (records.size > MAX_RECORDS) forget(leastWorthKeeping(records.values()));
  };

  const forget = (key: SessionKey): void => {
    count(records.get(key), -1);
    records.delete(key);
    lastUsed.delete(key);
    endingSince.delete(key);
  };

  const announce = (record: SessionRecord): void => {
    for (const listener of newsListeners) listener(newsOf(record));
  };

  const find = (key: SessionKey): SessionRecord | undefined => {
    const record = records.get(key);
    return record && record.expiresAt > now() ? record : undefined;
  };

  for (const record of initial) {
    put(record.end ? { ...record, end: 'ended' } : record);
    // The last use is not on disk. Counted from its creation a busy old session would be ended as idle at once.
    lastUsed.set(record.key, now());
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
      if (record) put(applyChange(record, change));
    },
    async rebind(key, from, to) {
      const record = find(key);
      // Its client has given it up while somebody was opening it again.
      if (!record || record.end) return undefined;
      if (record.binding.generation !== from) return record.binding;
      const bound = { ...record, binding: { ...to, generation: from + 1 } };
      put(bound);
      announce(bound);
      return bound.binding;
    },
    async end(key, end) {
      const record = find(key);
      if (!record || record.end === 'ended') return;
      if (end === 'ending') endingSince.set(key, now());
      const changed = { ...record, end };
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

    news: () => [...records.values()].filter((record) => record.end || record.binding.generation > 0).map(newsOf),
    onNews: (listener) => subscribe(newsListeners, listener),
    onChange: (listener) => subscribe(changeListeners, listener),
    records: () => records.values(),
    countByInstance: () => new Map(counts),
    *inUse() {
      for (const record of records.values()) {
        if (!record.end && record.binding.instance !== NO_INSTANCE) yield [record, lastUsed.get(record.key) ?? record.createdAt] as const;
      }
    },
    sweep() {
      for (const record of [...records.values()]) if (record.expiresAt <= now()) forget(record.key);
      for (const [key, since] of [...endingSince]) {
        const record = records.get(key);
        if (record && now() - since > ENDING_TTL_MS) put({ ...record, end: 'ended' });
      }
    },
  };
}

/** Of the records that changed longest ago an ended one, else the first: who opens and ends sessions in a loop pushes out nobody else's. */
function leastWorthKeeping(oldestFirst: Iterable<SessionRecord>): SessionKey {
  let first: SessionKey | undefined;
  let looked = 0;
  for (const { key, end } of oldestFirst) {
    if (end) return key;
    first ??= key;
    looked += 1;
    if (looked === MAX_LOOKED_AT) break;
  }
  return first as SessionKey;
}

function newsOf(record: SessionRecord): SessionNews {
  return { key: record.key, binding: record.binding, ended: record.end !== undefined };
}

function applyChange(record: SessionRecord, change: SessionChange): SessionRecord {
  if ((change.kind === 'level' ? change.level : change.uri).length > MAX_NOTED_CHARS) return record;
  if (change.kind === 'level') return { ...record, level: change.level };
  const others = record.subscriptions.filter((uri) => uri !== change.uri);
  if (change.kind === 'unsubscribe') return { ...record, subscriptions: others };
  return { ...record, subscriptions: [...others, change.uri].slice(-MAX_SUBSCRIPTIONS) };
}

function subscribe<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
