// All forms of limits, made in the same way: what the contract's tests run against.

import type { Redis } from 'ioredis';
import { createRedis } from '../../src/core/redis.ts';
import { createGuardedLimits } from '../../src/quota/guarded-limits.ts';
import type { Limits } from '../../src/quota/limits.ts';
import { linkLimits, serveLimits } from '../../src/quota/limits-link.ts';
import { createMemoryLimits } from '../../src/quota/memory-limits.ts';
import type { Change, QuotaStore } from '../../src/quota/quota-store.ts';
import { createRedisLimits } from '../../src/quota/redis-limits.ts';
import { openLink } from '../fakes/link.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';

/** A busy machine is no outage: what an outage does has tests of its own. */
const PATIENCE_MS = 5_000;

/** One place where is counted. */
export interface Form {
  /** One more process that uses it. */
  open(): Promise<Limits>;
  close(): Promise<void>;
}

type StoreForm = { open(): Promise<QuotaStore>; close(): Promise<void> };

/** Connected, and ended by the caller. */
export async function connect(server: RedisServer): Promise<Redis> {
  const redis = createRedis(server.url, { name: 'test' });
  await waitFor('a connection to Redis', () => redis.status === 'ready');
  return redis;
}

async function memory(leaseTtlMs: number): Promise<StoreForm> {
  const store = createMemoryLimits({ leaseTtlMs });
  return { open: async () => store, close: async () => {} };
}

async function redis(leaseTtlMs: number): Promise<StoreForm> {
  const server = await startRedis();
  const connections: Redis[] = [];
  return {
    async open() {
      const connection = await connect(server);
      connections.push(connection);
      return createRedisLimits({ redis: connection, leaseTtlMs });
    },
    async close() {
      for (const connection of connections) connection.disconnect();
      await server.stop();
    },
  };
}

async function link(leaseTtlMs: number): Promise<StoreForm> {
  const store = createMemoryLimits({ leaseTtlMs });
  const line = await openLink((connection) => serveLimits(connection, store));
  return { open: async () => linkLimits((await line.client(() => {})).connection), close: () => line.close() };
}

/** The bare store: its failures are the test's. */
export function bare(store: QuotaStore): Limits {
  const apply = (change: Change): Promise<void> => store.apply([change]);
  return {
    admit: store.admit,
    release: (tenant, requestId) => void apply({ kind: 'release', tenant, requestId }),
    prolong: (tenant, requestId) => void apply({ kind: 'prolong', tenant, requestId }),
    confirmSlot: (tenant, requestId, session, idleMs) => apply({ kind: 'confirm', tenant, requestId, session, idleMs }),
    releaseSlot: (tenant, member) => void apply({ kind: 'free', tenant, member }),
    keepSlots: (used) => void store.apply(used.map((use) => ({ kind: 'keep', ...use }))),
    usage: store.usage,
  };
}

async function unguarded(form: StoreForm): Promise<Form> {
  return { open: async () => bare(await form.open()), close: form.close };
}

async function guarded(form: StoreForm): Promise<Form> {
  const closers: (() => void)[] = [];
  return {
    async open() {
      const limits = createGuardedLimits({ store: await form.open(), longestWaitMs: PATIENCE_MS });
      closers.push(limits.close);
      await waitFor('the first answer of the counters', () => !limits.state().down);
      return limits;
    },
    async close() {
      for (const close of closers) close();
      await form.close();
    },
  };
}

export const forms: Readonly<Record<string, (leaseTtlMs: number) => Promise<Form>>> = {
  memory: async (ttl) => unguarded(await memory(ttl)),
  link: async (ttl) => unguarded(await link(ttl)),
  Redis: async (ttl) => unguarded(await redis(ttl)),
  'guarded link': async (ttl) => guarded(await link(ttl)),
  'guarded Redis': async (ttl) => guarded(await redis(ttl)),
};
