// Limits counted in Redis: exact for all replicas together, one round trip for each claim.

import type { Redis } from 'ioredis';
import type { TenantId } from '../core/ids.ts';
import { type Claim, LEASE_TTL_MS, type Verdict, type WindowState } from './limits.ts';
import { ADMITTED_REMEMBERED_MS, ALIVE_MS, type Change, type QuotaStore, REFUSED_REMEMBERED_MS, RETRY_SOON_MS } from './quota-store.ts';
import { ALIVE_KEY, leasesKey, slotsKey, verdictKey, windowKeyPrefix } from './redis-keys.ts';
import { defineQuotaCommands } from './redis-scripts.ts';
import { windowEnd, windowState } from './windows.ts';
import { createWriteTogether } from './write-together.ts';

/** Changes in one call of the script: it takes less than a millisecond, for which everybody else waits. */
const MAX_PER_CALL = 500;

export interface RedisLimitsOptions {
  /** Made by `core/redis.ts`; a subscriber's connection will not do. */
  readonly redis: Redis;
  readonly leaseTtlMs?: number;
}

/** The connection stays the caller's: it is neither opened nor closed here. */
export function createRedisLimits({ redis, leaseTtlMs = LEASE_TTL_MS }: RedisLimitsOptions): QuotaStore {
  const remembered = { admittedMs: ADMITTED_REMEMBERED_MS, refusedMs: REFUSED_REMEMBERED_MS };
  const commands = defineQuotaCommands(redis, { leaseTtlMs, ...remembered });
  const writeTogether = createWriteTogether(redis);

  return {
    async admit(claim) {
      const { tenant, requestId, windows, concurrent = -1, sessions = -1 } = claim;
      const keys: (string | number)[] = [verdictKey(tenant, requestId)];
      const values: (string | number)[] = [concurrent, sessions];
      for (const { counter, limit, windowMs, cost } of windows) {
        keys.push(windowKeyPrefix(tenant, counter));
        values.push(limit, windowMs, cost);
      }
      if (concurrent >= 0 || sessions >= 0) {
        keys.push(leasesKey(tenant), slotsKey(tenant));
        values.push(requestId);
      }
      writeTogether();
      return readVerdict(await commands.mcpQuotaAdmit(keys.length, ...keys, ...values), claim);
    },
    async apply(changes) {
      const calls: Promise<unknown>[] = [];
      for (const [tenant, all] of byTenant(changes)) {
        for (let from = 0; from < all.length; from += MAX_PER_CALL) {
          const part = all.slice(from, from + MAX_PER_CALL).flatMap(changeArguments);
          calls.push(commands.mcpQuotaApply(leasesKey(tenant), slotsKey(tenant), leaseTtlMs, ...part));
        }
      }
      await Promise.all(calls);
    },
    beat: (sidecar = '') => commands.mcpQuotaBeat(ALIVE_KEY, sidecar, ALIVE_MS),
    async usage(tenant, windows) {
      const keys = [leasesKey(tenant), slotsKey(tenant), ...windows.map(({ counter }) => windowKeyPrefix(tenant, counter))];
      const answer = await commands.mcpQuotaUsage(keys.length, ...keys, ...windows.map(({ windowMs }) => windowMs));
      const [concurrent = 0, sessions = 0, ...counts] = answer;
      const states = windows.map((window, index) => windowState(window, counts[2 * index] as number, counts[2 * index + 1] as number));
      return { windows: states, concurrent, sessions };
    },
  };
}

/** Where the windows begin in an answer. */
const FIRST_WINDOW = 4;
const REFUSALS = { c: 'concurrency', s: 'sessions', q: 'quota' } as const;

/** Reads what the script answered. When the tenant's quotas have changed since the answer was remembered, their states are left out. */
function readVerdict(answer: string, { windows }: Claim): Verdict {
  const parts = answer.split(' ');
  const states: WindowState[] = [];
  if (parts.length === FIRST_WINDOW + windows.length) {
    const askedAt = Number(parts[2]) * 1000 + Math.floor(Number(parts[3]) / 1000);
    let at = FIRST_WINDOW;
    for (const { name, limit, windowMs } of windows) {
      const remaining = Math.max(0, Number(parts[at]));
      states.push({ name, limit, windowMs, remaining, resetMs: windowEnd(windowMs, askedAt) - askedAt });
      at += 1;
    }
  }
  const [kind] = parts;
  if (kind === 'a') return { kind: 'admitted', windows: states };
  const why = REFUSALS[kind as keyof typeof REFUSALS];
  return { kind: 'refused', why, windows: states, retryAfterMs: why === 'quota' ? Number(parts[1]) : RETRY_SOON_MS };
}

function changeArguments(change: Change): (string | number)[] {
  switch (change.kind) {
    case 'release':
      return ['r', change.requestId];
    case 'prolong':
      return ['p', change.requestId];
    case 'free':
      return ['f', change.member];
    case 'keep':
      return ['k', change.session, change.idleMs];
    case 'confirm':
      return ['c', change.requestId, change.session, change.idleMs];
    default:
      return change satisfies never;
  }
}

/** The order within a tenant is kept, and no other one matters. */
function byTenant(changes: readonly Change[]): Map<TenantId, Change[]> {
  const groups = new Map<TenantId, Change[]>();
  for (const change of changes) {
    const group = groups.get(change.tenant);
    if (group) group.push(change);
    else groups.set(change.tenant, [change]);
  }
  return groups;
}
