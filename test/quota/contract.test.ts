// What every form of limits promises: in memory, over the link, in Redis, and each of these behind the guard.

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TenantId } from '../../src/core/ids.ts';
import { type Claim, LEASE_TTL_MS, type Limits, type Verdict, type WindowLimit } from '../../src/quota/limits.ts';
import { claimOf, freshTenant, LONG_MS, session, windowOf } from '../fakes/claims.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type Form, forms } from './forms.ts';

const HOUR_MS = 3_600_000;
/** Long enough for a busy machine to see what happens in half of it. */
const SHORT_LEASE_MS = 2_000;

const kindOf = async (limits: Limits, claim: Claim): Promise<string> => {
  const verdict = await limits.admit(claim);
  return verdict.kind === 'refused' ? verdict.why : verdict.kind;
};

/** What is used of the windows, then requests under way, then sessions. */
const usedOf = async (limits: Limits, tenant: TenantId, windows = [windowOf(100)]): Promise<readonly number[]> => {
  const usage = await limits.usage(tenant, windows);
  return [...usage.windows.map(({ limit, remaining }) => limit - remaining), usage.concurrent, usage.sessions];
};

describe.each(Object.entries(forms))('%s', (_name, make) => {
  let form: Form;
  /** Two processes that use the same counters. */
  let limits: Limits;
  let other: Limits;
  beforeAll(async () => {
    form = await make(LEASE_TTL_MS);
    limits = await form.open();
    other = await form.open();
  });
  afterAll(() => form.close());

  const admit = async (claim: Claim, by = limits): Promise<Verdict> => by.admit(claim);
  const repeat = async (times: number, claim: () => Claim): Promise<string[]> => {
    const kinds: string[] = [];
    for (let i = 0; i < times; i += 1) kinds.push(await kindOf(i % 2 === 0 ? limits : other, claim()));
    return kinds;
  };
  const used = (tenant: TenantId, windows?: WindowLimit[]) => usedOf(limits, tenant, windows);
  const becomes = (tenant: TenantId, wanted: readonly number[]) =>
    waitFor(`usage ${wanted.join(' ')}`, async () => (await used(tenant)).join(' ') === wanted.join(' '));

  describe('windows', () => {
    it('admit up to their limit, for all processes together, and say where they stand', async () => {
      const tenant = freshTenant();
      const claim = (): Claim => claimOf(tenant, { windows: [windowOf(3)] });
      const first = await admit(claim());
      const untilEnd = LONG_MS - (Date.now() % LONG_MS);
      expect(first).toMatchObject({ kind: 'admitted', windows: [{ name: 'tenant-30d', limit: 3, windowMs: LONG_MS, remaining: 2 }] });
      const { resetMs } = (first as Extract<Verdict, { kind: 'admitted' }>).windows[0] as { resetMs: number };
      expect(Math.abs(resetMs - untilEnd)).toBeLessThan(5_000);
      expect(await repeat(3, claim)).toEqual(['admitted', 'admitted', 'quota']);
      const last = (await admit(claim())) as Extract<Verdict, { kind: 'refused' }>;
      expect(last).toMatchObject({ kind: 'refused', why: 'quota', windows: [{ limit: 3, remaining: 0 }] });
      expect(Math.abs(last.retryAfterMs - untilEnd)).toBeLessThan(5_000);
      expect(await used(tenant)).toEqual([3, 0, 0]);
    });

    it('are taken all or not at all', async () => {
      const tenant = freshTenant();
      const wide = windowOf(100, { counter: 'wide' });
      const tight = windowOf(2, { counter: 'tight', name: 'tight' });
      expect(await repeat(4, () => claimOf(tenant, { windows: [wide, tight] }))).toEqual(['admitted', 'admitted', 'quota', 'quota']);
      expect(await used(tenant, [wide, tight])).toEqual([2, 2, 0, 0]);
      expect(await kindOf(limits, claimOf(tenant, { windows: [wide] }))).toBe('admitted');
    });

    it('count a batch by its requests', async () => {
      const tenant = freshTenant();
      const batch = (cost: number): Claim => claimOf(tenant, { windows: [windowOf(10, { cost })] });
      expect(await kindOf(limits, batch(6))).toBe('admitted');
      expect(await kindOf(limits, batch(5))).toBe('quota');
      expect(await kindOf(limits, batch(4))).toBe('admitted');
      expect(await kindOf(limits, batch(1))).toBe('quota');
    });

    it('of limit 0 admit nobody', async () => {
      const tenant = freshTenant();
      expect(await repeat(2, () => claimOf(tenant, { windows: [windowOf(0)] }))).toEqual(['quota', 'quota']);
      expect(await used(tenant)).toEqual([0, 0, 0]);
    });

    it('begin again when they end', async () => {
      const tenant = freshTenant();
      const claim = (): Claim => claimOf(tenant, { windows: [windowOf(1, { windowMs: 500 })] });
      await waitFor('a refusal', async () => (await kindOf(limits, claim())) === 'quota');
      await waitFor('the next window', async () => (await kindOf(limits, claim())) === 'admitted');
    });

    it('go on counting under a limit that was changed', async () => {
      const tenant = freshTenant();
      expect(await repeat(3, () => claimOf(tenant, { windows: [windowOf(2)] }))).toEqual(['admitted', 'admitted', 'quota']);
      expect(await admit(claimOf(tenant, { windows: [windowOf(4)] }))).toMatchObject({ kind: 'admitted', windows: [{ remaining: 1 }] });
      expect(await admit(claimOf(tenant, { windows: [windowOf(2)] }))).toMatchObject({ kind: 'refused', windows: [{ remaining: 0 }] });
    });

    it('of several tenants, counters and lengths are apart', async () => {
      const [one, two] = [freshTenant(), freshTenant()];
      const claims = [
        claimOf(one, { windows: [windowOf(1)] }),
        claimOf(two, { windows: [windowOf(1)] }),
        claimOf(one, { windows: [windowOf(1, { counter: 'subject.a' })] }),
        claimOf(one, { windows: [windowOf(1, { windowMs: HOUR_MS })] }),
      ];
      for (const claim of claims) expect(await kindOf(limits, claim)).toBe('admitted');
    });
  });

  describe('a repeated request', () => {
    it('gets its answer again, takes nothing, and is not refused when the window is used up meanwhile', async () => {
      const tenant = freshTenant();
      const claim = claimOf(tenant, { windows: [windowOf(2)], concurrent: 5, sessions: 5 });
      const answer = await admit(claim);
      expect(answer.kind).toBe('admitted');
      expect(await admit(claim)).toEqual(answer);
      expect(await admit(claim, other)).toEqual(answer);
      expect(await used(tenant)).toEqual([1, 1, 1]);
      expect(await repeat(2, () => claimOf(tenant, { windows: [windowOf(2)] }))).toEqual(['admitted', 'quota']);
      expect(await admit(claim)).toEqual(answer);
    });

    it('at the same time is charged once', async () => {
      const tenant = freshTenant();
      const claim = claimOf(tenant, { windows: [windowOf(10)], concurrent: 10 });
      const answers = await Promise.all([limits, other, limits, other].map((by) => admit(claim, by)));
      expect(answers.map(({ kind }) => kind)).toEqual(['admitted', 'admitted', 'admitted', 'admitted']);
      expect(await used(tenant)).toEqual([1, 1, 0]);
    });

    it('of another tenant is another request', async () => {
      const [one, two] = [freshTenant(), freshTenant()];
      const requestId = 'the-same';
      expect(await kindOf(limits, claimOf(one, { requestId, windows: [windowOf(5)] }))).toBe('admitted');
      expect(await kindOf(limits, claimOf(two, { requestId, windows: [windowOf(5)] }))).toBe('admitted');
      expect([await used(one), await used(two)]).toEqual([
        [1, 0, 0],
        [1, 0, 0],
      ]);
    });
  });

  describe('requests under way', () => {
    it('are limited; a refusal takes nothing; any process may report an end', async () => {
      const tenant = freshTenant();
      const claims = [1, 2, 3].map(() => claimOf(tenant, { concurrent: 2, windows: [windowOf(100)] }));
      const [first, second, third] = claims as [Claim, Claim, Claim];
      expect([await kindOf(limits, first), await kindOf(other, second)]).toEqual(['admitted', 'admitted']);
      const refusal = await admit(third);
      expect(refusal).toMatchObject({ kind: 'refused', why: 'concurrency', windows: [{ limit: 100, remaining: 98 }] });
      expect((refusal as Extract<Verdict, { kind: 'refused' }>).retryAfterMs).toBeLessThan(10_000);
      other.release(tenant, first.requestId);
      other.release(tenant, 'unknown');
      await becomes(tenant, [2, 1, 0]);
      expect(await kindOf(limits, claimOf(tenant, { concurrent: 2 }))).toBe('admitted');
    });
  });

  describe('sessions', () => {
    const open = (tenant: TenantId, sessions = 2): Claim => claimOf(tenant, { sessions });

    it('are limited from their reservation on, until they end', async () => {
      const tenant = freshTenant();
      const [first, second] = [open(tenant), open(tenant)];
      expect([await kindOf(limits, first), await kindOf(other, second), await kindOf(limits, open(tenant))]).toEqual([
        'admitted',
        'admitted',
        'sessions',
      ]);
      await other.confirmSlot(tenant, first.requestId, session('a'), HOUR_MS);
      // Whatever hears of the end of the request frees nothing any more.
      limits.releaseSlot(tenant, first.requestId);
      limits.releaseSlot(tenant, second.requestId);
      await becomes(tenant, [0, 0, 1]);
      expect([await kindOf(limits, open(tenant)), await kindOf(limits, open(tenant))]).toEqual(['admitted', 'sessions']);
      limits.releaseSlot(tenant, session('a'));
      await becomes(tenant, [0, 0, 1]);
      expect(await kindOf(limits, open(tenant))).toBe('admitted');
    });

    it('that are not used are forgotten, and counted again with their next use, even beyond the limit', async () => {
      const tenant = freshTenant();
      const claim = open(tenant, 1);
      expect(await kindOf(limits, claim)).toBe('admitted');
      await limits.confirmSlot(tenant, claim.requestId, session('c'), 300);
      await becomes(tenant, [0, 0, 0]);
      expect(await kindOf(limits, open(tenant, 1))).toBe('admitted');
      other.keepSlots([
        { tenant, session: session('c'), idleMs: HOUR_MS },
        { tenant, session: session('d'), idleMs: HOUR_MS },
      ]);
      await becomes(tenant, [0, 0, 3]);
      expect(await kindOf(limits, open(tenant, 1))).toBe('sessions');
    });
  });

  it('checks requests under way first, then sessions, then windows', async () => {
    const tenant = freshTenant();
    // Not used up to the last, so that no block list can know better.
    const both = { concurrent: 1, sessions: 1, windows: [windowOf(2)] };
    const first = claimOf(tenant, both);
    expect(await kindOf(limits, first)).toBe('admitted');
    const tooMuch = (): Claim => claimOf(tenant, { ...both, windows: [windowOf(2, { cost: 2 })] });
    expect(await kindOf(limits, tooMuch())).toBe('concurrency');
    limits.release(tenant, first.requestId);
    await becomes(tenant, [1, 0, 1]);
    expect(await kindOf(limits, tooMuch())).toBe('sessions');
    limits.releaseSlot(tenant, first.requestId);
    await becomes(tenant, [1, 0, 0]);
    expect(await kindOf(limits, tooMuch())).toBe('quota');
    expect(await used(tenant)).toEqual([1, 0, 0]);
  });

  it('tells the usage of an unknown tenant, and changes nothing by telling', async () => {
    const tenant = freshTenant();
    for (let i = 0; i < 2; i += 1) {
      expect(await limits.usage(tenant, [windowOf(7)])).toMatchObject({
        windows: [{ name: 'tenant-30d', limit: 7, windowMs: LONG_MS, remaining: 7 }],
        concurrent: 0,
        sessions: 0,
      });
    }
  });
});

describe.each(Object.entries(forms))('%s, in which leases are short:', (_name, make) => {
  let form: Form;
  let limits: Limits;
  let other: Limits;
  beforeAll(async () => {
    form = await make(SHORT_LEASE_MS);
    limits = await form.open();
    other = await form.open();
  });
  afterAll(() => form.close());

  const becomes = (tenant: TenantId, wanted: readonly number[]) =>
    waitFor(`usage ${wanted.join(' ')}`, async () => (await usedOf(limits, tenant)).join(' ') === wanted.join(' '));

  it('a request whose end nobody reports is forgotten, later when it is said to go on, and counted again when it still does', async () => {
    const tenant = freshTenant();
    const [silent, long] = [claimOf(tenant, { concurrent: 2 }), claimOf(tenant, { concurrent: 2 })];
    expect([await kindOf(limits, silent), await kindOf(limits, long)]).toEqual(['admitted', 'admitted']);
    await delay(SHORT_LEASE_MS / 2);
    other.prolong(tenant, long.requestId);
    await becomes(tenant, [0, 1, 0]);
    await becomes(tenant, [0, 0, 0]);
    other.prolong(tenant, long.requestId);
    await becomes(tenant, [0, 1, 0]);
    expect(await kindOf(limits, claimOf(tenant, { concurrent: 1 }))).toBe('concurrency');
    expect(await kindOf(limits, claimOf(tenant, { concurrent: 2 }))).toBe('admitted');
  });

  it('a reservation of which nothing comes is forgotten, a confirmed one is not', async () => {
    const tenant = freshTenant();
    const [first, second] = [claimOf(tenant, { sessions: 2 }), claimOf(tenant, { sessions: 2 })];
    expect([await kindOf(limits, first), await kindOf(limits, second)]).toEqual(['admitted', 'admitted']);
    await limits.confirmSlot(tenant, first.requestId, session('b'), HOUR_MS);
    await becomes(tenant, [0, 0, 1]);
    expect(await kindOf(limits, claimOf(tenant, { sessions: 1 }))).toBe('sessions');
  });
});
