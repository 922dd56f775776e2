// The algebra of quotas: random claims and ends, judged by memory and by Redis exactly as a simple oracle judges them.

import fc from 'fast-check';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../../src/core/ids.ts';
import type { Claim, Verdict } from '../../src/quota/limits.ts';
import { createMemoryLimits } from '../../src/quota/memory-limits.ts';
import type { Change, QuotaStore } from '../../src/quota/quota-store.ts';
import { createRedisLimits } from '../../src/quota/redis-limits.ts';
import { claimOf, freshTenant, session, windowOf } from '../fakes/claims.ts';
import { createOracle, type Expected } from '../fakes/quota-oracle.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { connect } from './forms.ts';

const HOUR_MS = 3_600_000;
const COUNTERS = ['a', 'b', 'c'];

type Step = { readonly claim: Partial<Claim> } | { readonly change: Omit<Change, 'tenant'> };

// Few request ids, so that many claims are repeats and many ends hit something.
const requestId = fc.integer({ min: 1, max: 12 }).map((n) => `request-${n}`);
const sessionKey = fc.constantFrom(session('a'), session('b'), session('c'));
const optionally = (limit: fc.Arbitrary<number>) => fc.option(limit, { nil: undefined });

const windows = fc
  .subarray(COUNTERS)
  .chain((counters) =>
    fc.tuple(
      ...counters.map((counter) =>
        fc
          .record({ limit: fc.integer({ min: 0, max: 9 }), cost: fc.integer({ min: 1, max: 4 }) })
          .map((some) => windowOf(some.limit, { counter, ...some })),
      ),
    ),
  );
const claim = fc.record({
  requestId,
  windows,
  concurrent: optionally(fc.integer({ min: 0, max: 4 })),
  sessions: optionally(fc.integer({ min: 0, max: 4 })),
});
const change = fc.oneof(
  fc.record({ kind: fc.constantFrom('release' as const, 'prolong' as const), requestId }),
  fc.record({ kind: fc.constant('free' as const), member: fc.oneof(requestId, sessionKey) }),
  fc.record({ kind: fc.constant('keep' as const), session: sessionKey, idleMs: fc.constant(HOUR_MS) }),
  fc.record({ kind: fc.constant('confirm' as const), requestId, session: sessionKey, idleMs: fc.constant(HOUR_MS) }),
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: claim.map((some) => ({ claim: some })) },
    { weight: 1, arbitrary: change.map((some) => ({ change: some })) },
  ),
  { minLength: 5, maxLength: 40 },
);

const seen = (verdict: Verdict): Expected => {
  if (verdict.kind === 'unavailable') throw new Error('nothing is out of reach here');
  return { kind: verdict.kind === 'admitted' ? 'admitted' : verdict.why, remaining: verdict.windows.map(({ remaining }) => remaining) };
};

/** Plays the steps against a store and the oracle, and compares every answer and what is left in the end. */
async function play(store: QuotaStore, tenant: TenantId, all: readonly Step[]): Promise<void> {
  const oracle = createOracle();
  for (const step of all) {
    if ('change' in step) {
      const told = { ...step.change, tenant } as Change;
      oracle.apply(told);
      await store.apply([told]);
      continue;
    }
    const asked = claimOf(tenant, step.claim);
    const expected = oracle.admit(asked);
    const answer = seen(await store.admit(asked));
    // A repeat with other quotas has no states to tell; everything else has those of its first answer.
    if (answer.remaining.length !== expected.remaining.length) expect(answer.kind).toBe(expected.kind);
    else expect(answer).toEqual(expected);
  }
  const counters = COUNTERS.map((counter) => windowOf(1_000, { counter }));
  const { windows: left, concurrent, sessions } = await store.usage(tenant, counters);
  expect(left.map(({ remaining }) => 1_000 - remaining)).toEqual(COUNTERS.map(oracle.used));
  expect([concurrent, sessions]).toEqual(oracle.counts());
}

describe('the algebra of quotas', () => {
  let server: RedisServer;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    redis = await connect(server);
  });
  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
  });

  it('holds in memory', () =>
    fc.assert(
      fc.asyncProperty(steps, (all) => play(createMemoryLimits({ now: () => 1_700_000_000_000 }), freshTenant(), all)),
      { numRuns: 500 },
    ));

  it('holds in Redis', () => {
    const store = createRedisLimits({ redis });
    return fc.assert(
      fc.asyncProperty(steps, (all) => play(store, freshTenant(), all)),
      { numRuns: 100 },
    );
  });

  it('never admits more than a limit, nor fewer, when claims overlap', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 0, max: 30 }),
        fc.boolean(),
        async (costs, limit, inRedis) => {
          const store = inRedis ? createRedisLimits({ redis }) : createMemoryLimits();
          const tenant = freshTenant();
          const claims = costs.map((cost) => claimOf(tenant, { windows: [windowOf(limit, { cost })] }));
          const verdicts = await Promise.all(claims.map((one) => store.admit(one)));
          let admitted = 0;
          for (const [index, { kind }] of verdicts.entries()) {
            const cost = costs[index] as number;
            // Claims are judged in the order in which they were made, each by what is left then.
            expect(kind).toBe(admitted + cost <= limit ? 'admitted' : 'refused');
            if (kind === 'admitted') admitted += cost;
          }
        },
      ),
      { numRuns: 100 },
    ));
});
