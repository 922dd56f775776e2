// How a session record is written into a Redis hash, and read back.

import type { Redis } from 'ioredis';
import type { BackendName, InstanceId, SessionKey, TenantId, UpstreamSessionId } from '../core/ids.ts';
import { tombstone } from './record-changes.ts';
import { callerIndex, redisKeys } from './redis-keys.ts';
import { ENDING_TTL_MS, type SessionEnd, type SessionRecord } from './store.ts';

/** Field and value in turn. What scripts decide on has a field of its own; the rest is one text. */
export function encodeRecord(record: SessionRecord, now: number): (string | number)[] {
  const { issuer, subject, tenant, createdAt, binding, end } = record;
  const fields = {
    expiresAt: record.expiresAt,
    generation: binding.generation,
    instance: binding.instance,
    upstreamId: binding.upstreamId,
    stream: record.streamGeneration,
    backend: record.backend,
    caller: callerIndex(issuer, subject),
    reopens: record.initialize === '' ? '0' : '1',
    about: JSON.stringify([issuer, subject, tenant, createdAt]),
    initialize: record.initialize,
    ...(record.level === undefined ? {} : { level: record.level }),
    ...(end === undefined ? {} : { end, since: now }),
  };
  return Object.entries(fields).flat();
}

/** Undefined when there is none, or its id has expired. */
export function decodeRecord(
  key: SessionKey,
  fields: Readonly<Record<string, string>>,
  subscriptions: readonly string[],
  now: number,
): SessionRecord | undefined {
  const expiresAt = Number(fields['expiresAt'] ?? 0);
  if (expiresAt <= now) return undefined;
  const [issuer, subject, tenant, createdAt] = JSON.parse(fields['about'] ?? '[]') as [string, string, TenantId, number];
  const end = fields['end'] as SessionEnd | undefined;
  const record: SessionRecord = {
    key,
    backend: fields['backend'] as BackendName,
    issuer,
    subject,
    tenant,
    createdAt,
    expiresAt,
    initialize: fields['initialize'] ?? '',
    level: fields['level'],
    subscriptions,
    binding: {
      generation: Number(fields['generation']),
      instance: fields['instance'] as InstanceId,
      upstreamId: fields['upstreamId'] as UpstreamSessionId,
    },
    end,
    streamGeneration: Number(fields['stream']),
  };
  return end === 'ending' && now - Number(fields['since']) > ENDING_TTL_MS ? tombstone(record, 'ended') : record;
}

/** In one round trip; what is not there is left out. */
export async function readRecords(redis: Redis, keys: readonly SessionKey[], now: number): Promise<SessionRecord[]> {
  if (keys.length === 0) return [];
  const pipeline = redis.pipeline();
  for (const key of keys) pipeline.hgetall(redisKeys.record(key)).lrange(redisKeys.subscriptions(key), 0, -1);
  const answers = answersOf(await pipeline.exec());
  return keys.flatMap((key, n) => {
    const record = decodeRecord(key, answers[2 * n] as Record<string, string>, answers[2 * n + 1] as string[], now);
    return record ? [record] : [];
  });
}

/** @throws the first failure: an answer of which a part is missing is none. */
export function answersOf(results: readonly (readonly [Error | null, unknown])[] | null): unknown[] {
  return (results ?? []).map(([error, answer]) => {
    if (error) throw error;
    return answer;
  });
}
