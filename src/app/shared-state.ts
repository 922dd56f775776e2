// Where session records and limits live for one process: in Redis when there is one, else with the supervisor.

import type { Logger } from 'pino';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { MessageConnection } from 'vscode-jsonrpc/node';
import { createRedis } from '../core/redis.ts';
import { within } from '../core/within.ts';
import type { Balancer } from '../directory/balancer.ts';
import type { Directory } from '../directory/directory.ts';
import { createGuardedLimits, type GuardedLimits } from '../quota/guarded-limits.ts';
import { linkLimits } from '../quota/limits-link.ts';
import type { QuotaStore } from '../quota/quota-store.ts';
import { createRedisLimits } from '../quota/redis-limits.ts';
import { createRedisSessions, type RedisSessions } from '../session/redis-sessions.ts';
import type { SessionFeed, SessionStore } from '../session/store.ts';
import { linkStore } from '../session/store-link.ts';
import { createClosers } from './closers.ts';

/** A start does not wait longer for a Redis that is away: what needs it is refused meanwhile, or admitted as the settings say. */
const READY_TIMEOUT_MS = 3_000;
/**
 * The supervisor counts on this machine: it is late only when the machine is, and to count for oneself then would let in too much or too
 * little for nothing. One that hangs costs a request so long, once.
 */
export const SUPERVISOR_WAIT_MS = 2_000;
/** A Redis that stays away is said once in so long. */
const SAY_AGAIN_MS = 30_000;

export interface SharedState {
  readonly store: SessionStore;
  readonly feed: SessionFeed;
  readonly limits: GuardedLimits;
  /** Never rejects. */
  readonly ready: Promise<void>;
  close(): Promise<void>;
}

export interface SharedStateOptions {
  /** To the supervisor. Handlers are set here: listen to it afterwards. */
  readonly connection: MessageConnection;
  readonly redisUrl: string | undefined;
  readonly process: string;
  readonly directory: Directory;
  readonly balancer: Balancer;
  readonly registry: Registry;
  readonly log: Logger;
}

export function openSharedState(options: SharedStateOptions): SharedState {
  const { connection, redisUrl, process, directory, balancer, registry, log } = options;
  if (redisUrl === undefined || redisUrl === '') {
    const { store, feed } = linkStore(connection, balancer.report);
    const limits = guardLimits(linkLimits(connection), { registry, log, longestWaitMs: SUPERVISOR_WAIT_MS });
    return { store, feed, limits, ready: Promise.resolve(), close: async () => limits.close() };
  }
  const redis = openRedis(redisUrl, process, log);
  redis.sessions.watchCounts(() => instancesOf(directory), balancer.report);
  const limits = guardLimits(redis.quotas, { registry, log });
  return {
    store: redis.sessions.store,
    feed: redis.sessions.feed,
    limits,
    ready: within(redis.sessions.ready, READY_TIMEOUT_MS).catch(() => log.warn('Redis does not answer: starting without it')),
    async close() {
      limits.close();
      await redis.close();
    },
  };
}

/** One process's connections to Redis, and what is kept there. */
export interface RedisState {
  readonly sessions: RedisSessions;
  readonly quotas: QuotaStore;
  close(): Promise<void>;
}

export function openRedis(url: string, process: string, log: Logger): RedisState {
  let saidAt = Number.NEGATIVE_INFINITY;
  const onError = (err: Error): void => {
    if (performance.now() - saidAt < SAY_AGAIN_MS) return;
    saidAt = performance.now();
    log.warn({ err }, 'Redis cannot be reached');
  };
  const closers = createClosers();
  const redis = createRedis(url, { name: `mcp-gateway-${process}`, onError });
  closers.add(() => redis.disconnect());
  const subscriber = createRedis(url, { name: `mcp-gateway-${process}-news`, onError, subscriber: true });
  closers.add(() => subscriber.disconnect());
  const sessions = createRedisSessions({ redis, subscriber, log });
  closers.add(() => sessions.close());
  return { sessions, quotas: createRedisLimits({ redis }), close: closers.close };
}

export interface GuardOptions {
  readonly registry: Registry;
  readonly log: Logger;
  /** How long a claim waits for the counters. Default: as for Redis. */
  readonly longestWaitMs?: number;
  /** Whether this process judges requests, and so has a share of them in an outage. Default: it does. */
  readonly alive?: boolean;
}

export function guardLimits(store: QuotaStore, { registry, log, ...timing }: GuardOptions): GuardedLimits {
  const events = new Counter({
    name: 'mcp_limits_events_total',
    help: 'Claims that were refused without asking (blocked), got no answer in time (failed), were judged by the local share (local) or refused by onOutage (denied), and ends that could not be told (lost).',
    labelNames: ['event'],
    registers: [registry],
  });
  const limits = createGuardedLimits({
    store,
    ...timing,
    onDown: (err) => log.warn({ err }, 'limits are counted locally: the shared counters cannot be reached'),
    onUp: (outageMs) => log.info({ outageMs }, 'limits are shared again'),
    onEvent: (event, count) => events.inc({ event }, count),
  });
  new Gauge({
    name: 'mcp_limits_down',
    help: '1 while the shared counters are out of reach.',
    registers: [registry],
    collect() {
      this.set(limits.state().down ? 1 : 0);
    },
  });
  new Gauge({
    name: 'mcp_limits_sidecars_alive',
    help: 'Sidecars that share the counters, as this process has heard: what a limit is divided by in an outage.',
    registers: [registry],
    collect() {
      this.set(limits.state().live);
    },
  });
  return limits;
}

function instancesOf(directory: Directory) {
  return [...directory.snapshot().backends.values()].flatMap(({ instances }) => instances.map(({ id }) => id));
}
