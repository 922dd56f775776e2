// Exactness across replicas: ten connections to one Redis, one limit, never more and never fewer; and one round trip for each claim.

import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createGuardedLimits, type LimitsEvent } from '../../src/quota/guarded-limits.ts';
import type { Claim, Verdict } from '../../src/quota/limits.ts';
import type { QuotaStore } from '../../src/quota/quota-store.ts';
import { createRedisLimits } from '../../src/quota/redis-limits.ts';
import { claimOf, freshTenant, windowOf } from '../fakes/claims.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';
import { connect } from './forms.ts';

const REPLICAS = 10;
const PATIENCE_MS = 10_000;

let server: RedisServer;
let connections: Redis[];
let replicas: QuotaStore[];
beforeAll(async () => {
  server = await startRedis();
  connections = await Promise.all(Array.from({ length: REPLICAS }, () => connect(server)));
  replicas = connections.map((redis) => createRedisLimits({ redis }));
});
afterAll(async () => {
  for (const redis of connections ?? []) redis.disconnect();
  await server?.stop();
});

/** Every replica makes so many claims at once. */
async function hammer(times: number, claim: () => Claim): Promise<Verdict[]> {
  const answers = replicas.flatMap((store) => Array.from({ length: times }, () => store.admit(claim())));
  return Promise.all(answers);
}
const count = (verdicts: readonly Verdict[], kind: string): number => verdicts.filter((verdict) => verdict.kind === kind).length;

describe('ten replicas', () => {
  it.each([1, 97, 250])('admit exactly %d in one window', async (limit) => {
    const tenant = freshTenant();
    const verdicts = await hammer(30, () => claimOf(tenant, { windows: [windowOf(limit), windowOf(1_000, { counter: 'wide' })] }));
    expect([count(verdicts, 'admitted'), count(verdicts, 'refused')]).toEqual([limit, 300 - limit]);
    const { windows } = await (replicas[0] as QuotaStore).usage(tenant, [windowOf(1_000), windowOf(1_000, { counter: 'wide' })]);
    expect(windows.map(({ remaining }) => 1_000 - remaining)).toEqual([limit, limit]);
  });

  it('admit exactly the limit again in the next window', async () => {
    const [limit, windowMs] = [40, 3_000];
    const tenant = freshTenant();
    const remaining = new Map<number, number[]>();
    const refusedIn = new Set<number>();
    const endOf = (resetMs: number): number => Math.round((Date.now() + resetMs) / windowMs);
    const claims = async (store: QuotaStore): Promise<void> => {
      while (refusedIn.size < 3) {
        const verdict = await store.admit(claimOf(tenant, { windows: [windowOf(limit, { windowMs })] }));
        if (verdict.kind === 'unavailable') throw new Error('Redis is there');
        const [state] = verdict.windows;
        if (state === undefined) throw new Error('the state of the window is missing');
        const end = endOf(state.resetMs);
        if (verdict.kind === 'refused') refusedIn.add(end);
        else remaining.set(end, [...(remaining.get(end) ?? []), state.remaining]);
      }
    };
    await Promise.all(replicas.map(claims));
    const each = Array.from({ length: limit }, (_, index) => index);
    expect(refusedIn.size).toBeGreaterThanOrEqual(3);
    for (const end of refusedIn) expect(remaining.get(end)?.toSorted((a, b) => a - b)).toEqual(each);
  });

  it('lend exactly as many leases and slots as there are, and charge the quota only for them', async () => {
    const tenant = freshTenant();
    const verdicts = await hammer(10, () => claimOf(tenant, { concurrent: 50, sessions: 7, windows: [windowOf(1_000)] }));
    expect(count(verdicts, 'admitted')).toBe(7);
    const { windows, concurrent, sessions } = await (replicas[3] as QuotaStore).usage(tenant, [windowOf(1_000)]);
    expect([windows[0]?.remaining, concurrent, sessions]).toEqual([993, 7, 7]);
  });

  it('charge a Check that Envoy repeats elsewhere once', async () => {
    const tenant = freshTenant();
    const requestId = 'repeated';
    const verdicts = await hammer(3, () => claimOf(tenant, { requestId, windows: [windowOf(100)], concurrent: 10 }));
    expect(count(verdicts, 'admitted')).toBe(30);
    expect((await (replicas[0] as QuotaStore).usage(tenant, [windowOf(100)])).windows[0]?.remaining).toBe(99);
  });
});

describe('a sidecar', () => {
  /** Everything that clients send to Redis while `run` goes on; what scripts do inside of it is left out. */
  async function watched(run: () => Promise<void>): Promise<string[]> {
    const redis = await connect(server);
    const monitor = await redis.monitor();
    const seen: string[] = [];
    monitor.on('monitor', (_time: string, args: string[], source: string) => {
      if (source !== 'lua') seen.push(args.join(' '));
    });
    try {
      await run();
      await server.ask('echo', 'the end');
      await waitFor('the monitor to have seen all', () => seen.includes('echo the end'));
    } finally {
      monitor.disconnect();
      redis.disconnect();
    }
    return seen.filter((line) => line.includes('{') || line.includes('mcp:'));
  }

  it('asks Redis once for each claim with everything in it, and not at all once the window is used up', async () => {
    const events: LimitsEvent[] = [];
    const guarded = createGuardedLimits({
      ...{ store: replicas[0] as QuotaStore, beatMs: 3_600_000, longestWaitMs: PATIENCE_MS },
      onEvent: (event) => events.push(event),
    });
    await waitFor('the first answer', () => !guarded.state().down);
    const tenant = freshTenant();
    const windows = [windowOf(20), windowOf(100, { counter: 'subject' }), windowOf(100, { counter: 'tool' })];
    const claim = (): Claim => claimOf(tenant, { windows, concurrent: 100, sessions: 100 });
    const verdicts: Verdict[] = [];
    const seen = await watched(async () => {
      for (let i = 0; i < 50; i += 1) verdicts.push(await guarded.admit(claim()));
    });
    expect([count(verdicts, 'admitted'), count(verdicts, 'refused')]).toEqual([20, 30]);
    expect(seen).toHaveLength(20);
    expect(seen.every((line) => /^eval(sha)? /.test(line) && line.includes(`{${tenant}}`))).toBe(true);
    expect(events).toEqual(Array.from({ length: 30 }, () => 'blocked'));

    // A raised limit is not on the list, and other tenants never were.
    const raised = claimOf(tenant, { windows: [windowOf(21)] });
    expect((await guarded.admit(raised)).kind).toBe('admitted');
    expect((await guarded.admit(claimOf(freshTenant(), { windows: [windowOf(20)] }))).kind).toBe('admitted');
    guarded.close();
  });

  it('tells the ends of many requests at once', async () => {
    const guarded = createGuardedLimits({ store: replicas[0] as QuotaStore, beatMs: 3_600_000, longestWaitMs: PATIENCE_MS });
    await waitFor('the first answer', () => !guarded.state().down);
    const tenant = freshTenant();
    const claims = Array.from({ length: 30 }, () => claimOf(tenant, { concurrent: 100 }));
    for (const claim of claims) await guarded.admit(claim);
    const seen = await watched(async () => {
      for (const { requestId } of claims) guarded.release(tenant, requestId);
      await waitFor('all to be released', async () => (await guarded.usage(tenant, [])).concurrent === 0);
    });
    expect(seen.filter((line) => line.includes('request-'))).toHaveLength(1);
    guarded.close();
  });
});
