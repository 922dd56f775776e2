// Listing open sessions in Redis: the index of last uses is read in pages, the newest first, until enough of them match.

import type { Redis } from 'ioredis';
import type { BackendName, InstanceId, SessionKey, TenantId } from '../core/ids.ts';
import { isListed, listLimit } from './record-changes.ts';
import { callerIndex, redisKeys } from './redis-keys.ts';
import type { SessionScripts } from './redis-scripts.ts';
import type { SessionQuery, SessionSummary } from './store.ts';

/** Small enough that neither Redis nor this process is busy with one for long. */
const PAGE = 200;
/** Texts of one session in an answer of the script. */
const TEXTS = 7;

export interface ListDependencies {
  readonly redis: Redis;
  readonly scripts: SessionScripts;
  readonly now: () => number;
}

export async function listSessions({ redis, scripts, now }: ListDependencies, query: SessionQuery): Promise<SessionSummary[]> {
  const limit = listLimit(query);
  // By key: a session that is used while the pages are read moves to another page, and may be met twice.
  const found = new Map<SessionKey, SessionSummary>();
  for await (const keys of pagesOf(redis, query)) {
    const texts = keys.length === 0 ? [] : ((await scripts.run('details', redisKeys.open, ...keys)) as string[]);
    for (let at = 0; at < texts.length; at += TEXTS) {
      const session = summaryOfTexts(texts.slice(at, at + TEXTS));
      if (session.expiresAt > now() && isListed(session, query)) found.set(session.key, session);
    }
    if (found.size >= limit) break;
  }
  return [...found.values()].sort((a, b) => b.lastUsed - a.lastUsed).slice(0, limit);
}

async function* pagesOf(redis: Redis, { issuer, subject }: SessionQuery): AsyncGenerator<readonly string[]> {
  if (issuer !== undefined && subject !== undefined) {
    const keys = await newestFirst(redis, await redis.smembers(redisKeys.caller(callerIndex(issuer, subject))));
    for (let at = 0; at < keys.length; at += PAGE) yield keys.slice(at, at + PAGE);
    return;
  }
  for (let at = 0; ; at += PAGE) {
    const page = await redis.zrevrange(redisKeys.open, at, at + PAGE - 1);
    yield page;
    if (page.length < PAGE) return;
  }
}

async function newestFirst(redis: Redis, keys: readonly string[]): Promise<string[]> {
  if (keys.length === 0) return [];
  const scores = await redis.zmscore(redisKeys.open, ...keys);
  const used = new Map(keys.map((key, n) => [key, Number(scores[n] ?? 0)]));
  return keys.toSorted((a, b) => (used.get(b) ?? 0) - (used.get(a) ?? 0));
}

function summaryOfTexts(texts: readonly string[]): SessionSummary {
  const [key, used, expiresAt, generation, instance, backend, about] = texts;
  const [issuer, subject, tenant, createdAt] = JSON.parse(about ?? '[]') as [string, string, TenantId, number];
  return {
    ...{ key: key as SessionKey, backend: backend as BackendName, issuer, subject, tenant, instance: instance as InstanceId },
    ...{ createdAt, lastUsed: Number(used), expiresAt: Number(expiresAt), generation: Number(generation) },
  };
}
