// What an operation makes of a session record, and what there is to tell of it: pure, and the same for every form of the store.

import {
  MAX_LISTED,
  MAX_NOTED_CHARS,
  MAX_SUBSCRIPTIONS,
  MAX_SUBSCRIPTIONS_BYTES,
  type SessionChange,
  type SessionNews,
  type SessionQuery,
  type SessionRecord,
  type SessionSummary,
} from './store.ts';

/** False for what is too long to be remembered. */
export function worthNoting(change: SessionChange): boolean {
  return (change.kind === 'level' ? change.level : change.uri).length <= MAX_NOTED_CHARS;
}

export function applyChange(record: SessionRecord, change: SessionChange): SessionRecord {
  if (!worthNoting(change)) return record;
  if (change.kind === 'level') return { ...record, level: change.level };
  const others = record.subscriptions.filter((uri) => uri !== change.uri);
  if (change.kind === 'unsubscribe') return { ...record, subscriptions: others };
  return { ...record, subscriptions: newest([...others, change.uri]) };
}

/** The last ones, as many as may be remembered. */
function newest(uris: readonly string[]): readonly string[] {
  let first = uris.length;
  let bytes = 0;
  for (const uri of uris.slice(-MAX_SUBSCRIPTIONS).reverse()) {
    bytes += Buffer.byteLength(uri);
    if (bytes > MAX_SUBSCRIPTIONS_BYTES) break;
    first -= 1;
  }
  return uris.slice(first);
}

/** What is left of a record for the rest of its id's life: it is never opened again, so that what it takes to open it can go. */
export function tombstone(record: SessionRecord, end: 'ended' | 'revoked'): SessionRecord {
  return { ...record, end, initialize: '', level: undefined, subscriptions: [] };
}

/** True when nothing changes this record any more. */
export function isOver({ end }: SessionRecord): boolean {
  return end === 'ended' || end === 'revoked';
}

/** True when the sealed id is no longer the whole truth. */
export function isNews({ end, binding }: SessionRecord): boolean {
  return end !== undefined || binding.generation > 0;
}

export function newsOf({ key, binding, end }: SessionRecord): SessionNews {
  return { key, binding, ended: end !== undefined, ...(end === 'revoked' ? { revoked: true } : {}) };
}

export function isListed(record: Pick<SessionRecord, 'backend' | 'issuer' | 'subject' | 'tenant'>, query: SessionQuery): boolean {
  return (
    (query.backend === undefined || record.backend === query.backend) &&
    (query.issuer === undefined || record.issuer === query.issuer) &&
    (query.subject === undefined || record.subject === query.subject) &&
    (query.tenant === undefined || record.tenant === query.tenant)
  );
}

/** The query's limit within what one answer may hold. */
export function listLimit({ limit }: SessionQuery): number {
  return Math.max(0, Math.min(limit, MAX_LISTED));
}

export function summaryOf(record: SessionRecord, lastUsed: number): SessionSummary {
  const { key, backend, issuer, subject, tenant, createdAt, expiresAt, binding } = record;
  const { instance, generation } = binding;
  return { key, backend, issuer, subject, tenant, instance, createdAt, lastUsed, expiresAt, generation };
}
