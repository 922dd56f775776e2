// The names of all session keys in Redis. Layout and bounds: docs/redis-keys.md.

import { createHash } from 'node:crypto';
import type { BackendName, InstanceId, SessionKey } from '../core/ids.ts';

/** One hash tag for all: a script changes several of them at once, which a Redis Cluster allows only within one slot. */
export const KEY_PREFIX = 'mcp:{s}:';

/** Where news are published. */
export const NEWS_CHANNEL = `${KEY_PREFIX}news`;

export const redisKeys = {
  record: (key: SessionKey) => `${KEY_PREFIX}r:${key}`,
  subscriptions: (key: SessionKey) => `${KEY_PREFIX}u:${key}`,
  /** Open sessions on an instance. */
  instance: (id: InstanceId) => `${KEY_PREFIX}i:${id}`,
  /** Sessions of a backend that are on an instance and could be opened again elsewhere, by last use: what an idle sweep looks at. */
  idle: (backend: BackendName) => `${KEY_PREFIX}b:${backend}`,
  /** Sessions of a caller that are not over. */
  caller: (index: string) => `${KEY_PREFIX}c:${index}`,
  lock: (key: SessionKey) => `${KEY_PREFIX}l:${key}`,
  /** All open sessions by last use. */
  open: `${KEY_PREFIX}open`,
  /** All records by the end of their ids. */
  expiry: `${KEY_PREFIX}expiry`,
  news: `${KEY_PREFIX}news`,
  /** Revoked callers, each with the second up to which. */
  callers: `${KEY_PREFIX}callers`,
  /** Held by the process that tidies up, and by the one that ends idle sessions. */
  tidying: `${KEY_PREFIX}tidying`,
  sweeping: `${KEY_PREFIX}sweeping`,
  /** Gone when the data are gone. */
  epoch: `${KEY_PREFIX}epoch`,
} as const;

/** Issuer and subject in a key of bounded length. Not the caller of a revocation: that one is made by whoever verifies tokens. */
export function callerIndex(issuer: string, subject: string): string {
  return createHash('sha256')
    .update(JSON.stringify([issuer, subject]))
    .digest('base64url');
}
