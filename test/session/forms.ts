// The three forms of the session store, each with two sidecars: in memory, over the supervisor's link, and on a real Redis.

import type { Redis } from 'ioredis';
import { pino } from 'pino';
import type { BackendName, InstanceId } from '../../src/core/ids.ts';
import { createRedis } from '../../src/core/redis.ts';
import { createMemoryStore, type MemoryStore } from '../../src/session/memory-store.ts';
import { createNewsCopy } from '../../src/session/news-copy.ts';
import { createRedisSessions, type RedisSessions } from '../../src/session/redis-sessions.ts';
import type { SessionFeed, SessionRecord, SessionStore } from '../../src/session/store.ts';
import { type LinkedStore, linkStore, serveStore } from '../../src/session/store-link.ts';
import { openLink } from '../fakes/link.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';

export interface Sidecar {
  readonly store: SessionStore;
  readonly feed: SessionFeed;
}

/** One store as its users see it, with the clock in the test's hand. */
export interface World {
  readonly first: Sidecar;
  readonly second: Sidecar;
  readonly clock: { now: number };
  counts(instances: readonly string[]): Promise<Record<string, number>>;
  idle(before: Record<string, number>, limit?: number): Promise<readonly SessionRecord[]>;
  sweep(): Promise<void>;
  close(): Promise<void>;
}

export interface Form {
  readonly name: string;
  /** What a use may be older than it is told. */
  readonly useLagMs: number;
  /** Runs of a property that end within a few seconds. */
  readonly runs: number;
  /** An empty store. */
  open(): Promise<World>;
  close(): Promise<void>;
}

export const memoryForm = (): Form => ({
  name: 'in memory',
  useLagMs: 0,
  runs: 200,
  async open() {
    const clock = { now: 1_000 };
    const store = createMemoryStore({ now: () => clock.now });
    const copy = createNewsCopy();
    store.onNews(copy.put);
    store.onRevocation(copy.callers.add);
    const sidecar = { store, feed: { find: copy.find, revoked: copy.callers.covers, fresh: () => true } };
    return { first: sidecar, second: sidecar, clock, ...ofMemory(store), close: async () => {} };
  },
  close: async () => {},
});

export const linkForm = (): Form => ({
  name: 'over the link',
  useLagMs: 0,
  runs: 60,
  async open() {
    const clock = { now: 1_000 };
    const store = createMemoryStore({ now: () => clock.now });
    const link = await openLink((connection) => serveStore(connection, store));
    const sidecar = async (): Promise<LinkedStore> => {
      let linked: LinkedStore | undefined;
      await link.client((connection) => {
        linked = linkStore(connection, () => {});
      });
      return linked as LinkedStore;
    };
    return { first: await sidecar(), second: await sidecar(), clock, ...ofMemory(store), close: () => link.close() };
  },
  close: async () => {},
});

function ofMemory(store: MemoryStore): Pick<World, 'counts' | 'idle' | 'sweep'> {
  return {
    counts: async (instances) => Object.fromEntries(instances.map((id) => [id, store.countByInstance().get(id as InstanceId) ?? 0])),
    idle: (before, limit = 100) => store.idle(new Map(Object.entries(before) as [BackendName, number][]), limit),
    sweep: async () => store.sweep(),
  };
}

export const redisForm = (): Form => {
  let server: Promise<RedisServer> | undefined;
  return {
    name: 'on Redis',
    useLagMs: 30_000,
    runs: 60,
    async open() {
      server ??= startRedis();
      const redis = await server;
      await redis.flush();
      return openRedisWorld(redis);
    },
    async close() {
      await (await server)?.stop();
    },
  };
};

async function openRedisWorld(server: RedisServer): Promise<World> {
  const clock = { now: 1_000 };
  const [first, second] = [connectSidecar(server.url, { now: () => clock.now }), connectSidecar(server.url, { now: () => clock.now })];
  await Promise.all([first.ready, second.ready]);
  return {
    first,
    second,
    clock,
    counts: async (instances) => Object.fromEntries(await first.countByInstance(instances as InstanceId[])),
    async idle(before, limit = 100) {
      await server.ask('del', 'mcp:{s}:sweeping');
      return first.idle(new Map(Object.entries(before) as [BackendName, number][]), limit);
    },
    async sweep() {
      await server.ask('del', 'mcp:{s}:tidying');
      await first.tidy();
    },
    async close() {
      for (const each of [first, second]) each.die();
    },
  };
}

export interface RedisSidecar extends RedisSessions {
  readonly redis: Redis;
  readonly subscriber: Redis;
  /** Its connections and timers end, and nothing is released. */
  die(): void;
}

export function connectSidecar(url: string, { now, lockTtlMs }: { now?: () => number; lockTtlMs?: number } = {}): RedisSidecar {
  const redis = createRedis(url, { name: 'sessions' });
  const subscriber = createRedis(url, { name: 'news', subscriber: true });
  const log = pino({ level: 'silent' });
  const sessions = createRedisSessions({ redis, subscriber, log, ...(now ? { now } : {}), ...(lockTtlMs ? { lockTtlMs } : {}) });
  return {
    ...sessions,
    redis,
    subscriber,
    die() {
      sessions.close();
      redis.disconnect();
      subscriber.disconnect();
    },
  };
}
