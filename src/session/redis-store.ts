// The session store on Redis: each operation is one round trip, and atomic among all sidecars of all replicas.

import type { Redis } from 'ioredis';
import type { InstanceId, UpstreamSessionId } from '../core/ids.ts';
import { worthNoting } from './record-changes.ts';
import { callerIndex, redisKeys } from './redis-keys.ts';
import { listSessions } from './redis-list.ts';
import { encodeRecord, readRecords } from './redis-record.ts';
import type { SessionScripts } from './redis-scripts.ts';
import type { Binding, SessionStore } from './store.ts';

/** Sessions that one script ends: a caller may have very many, and Redis does nothing else meanwhile. */
const ENDED_AT_ONCE = 200;

export interface RedisStoreDependencies {
  readonly redis: Redis;
  readonly scripts: SessionScripts;
  readonly used: SessionStore['used'];
  readonly lock: SessionStore['lock'];
  readonly now: () => number;
}

export function createRedisStore({ redis, scripts, used, lock, now }: RedisStoreDependencies): SessionStore {
  return {
    async create(record) {
      const { key, expiresAt, subscriptions } = record;
      const fields = encodeRecord(record, now());
      await scripts.run('create', redisKeys.record(key), key, expiresAt, subscriptions.length, ...subscriptions, ...fields);
    },
    async read(key) {
      return (await readRecords(redis, [key], now()))[0];
    },
    async note(key, change) {
      if (!worthNoting(change)) return;
      await scripts.run('note', redisKeys.record(key), key, change.kind, change.kind === 'level' ? change.level : change.uri);
    },
    async rebind(key, from, { instance, upstreamId }) {
      const answer = await scripts.run('rebind', redisKeys.record(key), key, from, instance, upstreamId);
      return answer ? bindingOf(answer as [number, string, string]) : undefined;
    },
    async end(key, end) {
      await scripts.run('end', redisKeys.record(key), key, end ?? '');
    },
    async claimStream(key) {
      return (await scripts.run('claim', redisKeys.record(key), key)) === 1;
    },
    used,
    lock,
    list: (query) => listSessions({ redis, scripts, now }, query),
    async revokeCaller(caller, { issuer, subject }) {
      const index = callerIndex(issuer, subject);
      const before = Math.floor(now() / 1000);
      let ended = 0;
      for (;;) {
        // The first of these calls refuses them all; the others are for the records.
        const answer = await scripts.run('revoke', redisKeys.caller(index), caller, before, index, ENDED_AT_ONCE);
        const [count, left] = answer as [number, number];
        ended += count;
        if (left === 0) return ended;
      }
    },
    async revokedBefore(caller) {
      const before = await redis.zscore(redisKeys.callers, caller);
      return before === null ? undefined : Number(before);
    },
  };
}

function bindingOf([generation, instance, upstreamId]: [number, string, string]): Binding {
  return { generation, instance: instance as InstanceId, upstreamId: upstreamId as UpstreamSessionId };
}
