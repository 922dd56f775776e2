// The block list: what it learns, when it forgets, and that it never refuses more than is used up.

import { describe, expect, it } from 'vitest';
import { claimOf, freshTenant, windowOf } from '../../test/fakes/claims.ts';
import { createBlockList } from './block-list.ts';
import type { Verdict } from './limits.ts';

const answer = (kind: 'admitted' | 'refused', ...remaining: number[]): Verdict => {
  const windows = remaining.map((left, index) => ({ name: `w${index}`, limit: 9, windowMs: 1_000, remaining: left, resetMs: 400 }));
  return kind === 'admitted' ? { kind, windows } : { kind, why: 'quota', windows, retryAfterMs: 400 };
};

describe('the block list', () => {
  const tenant = freshTenant();
  const [a, b] = [windowOf(5, { counter: 'a' }), windowOf(5, { counter: 'b' })];

  it('refuses a window that is used up until it ends, counted from when the question was sent', () => {
    const list = createBlockList();
    const claim = claimOf(tenant, { windows: [a, b] });
    list.learn(claim, answer('admitted', 0, 3), 10_000);
    expect(list.refusalOf(claim, 10_100)).toEqual({
      ...{ kind: 'refused', why: 'quota', retryAfterMs: 300 },
      windows: [{ name: a.name, limit: 5, windowMs: a.windowMs, remaining: 0, resetMs: 300 }],
    });
    expect(list.refusalOf(claim, 10_399)).toBeDefined();
    expect(list.refusalOf(claim, 10_400)).toBeUndefined();
    expect(list.refusalOf(claim, 10_399)).toBeUndefined();
  });

  it('leaves all others alone: other windows, other tenants, other limits, and windows with something left', () => {
    const list = createBlockList();
    list.learn(claimOf(tenant, { windows: [a, b] }), answer('refused', 0, 1), 0);
    expect(list.refusalOf(claimOf(tenant, { windows: [a] }), 1)).toBeDefined();
    expect(list.refusalOf(claimOf(tenant, { windows: [b] }), 1)).toBeUndefined();
    expect(list.refusalOf(claimOf(freshTenant(), { windows: [a] }), 1)).toBeUndefined();
    expect(list.refusalOf(claimOf(tenant, { windows: [{ ...a, limit: 6 }] }), 1)).toBeUndefined();
    expect(list.refusalOf(claimOf(tenant), 1)).toBeUndefined();
  });

  it('learns nothing from an outage, and from a remembered answer without states', () => {
    const list = createBlockList();
    const claim = claimOf(tenant, { windows: [a] });
    list.learn(claim, { kind: 'unavailable' }, 0);
    list.learn(claim, answer('admitted'), 0);
    expect(list.refusalOf(claim, 1)).toBeUndefined();
  });

  it('is bounded: what has ended makes room first, then what came first', () => {
    const list = createBlockList(2);
    const claims = ['a', 'b', 'c', 'd'].map((counter) => claimOf(tenant, { windows: [windowOf(5, { counter })] }));
    const blocked = (now: number) => claims.map((claim) => list.refusalOf(claim, now) !== undefined);
    const [first, second, third, fourth] = claims as [(typeof claims)[0], (typeof claims)[0], (typeof claims)[0], (typeof claims)[0]];
    list.learn(first, answer('admitted', 0), 0);
    list.learn(second, answer('admitted', 0), 200);
    list.learn(third, answer('admitted', 0), 500);
    expect(blocked(501)).toEqual([false, true, true, false]);
    list.learn(fourth, answer('admitted', 0), 510);
    expect(blocked(511)).toEqual([false, false, true, true]);
  });
});
