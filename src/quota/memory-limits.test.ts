// Limits in memory by a clock that the test moves; what all forms share is tested in test/quota.

import { beforeEach, expect, it } from 'vitest';
import { claimOf, freshTenant, windowOf } from '../../test/fakes/claims.ts';
import { createMemoryLimits } from './memory-limits.ts';
import type { QuotaStore } from './quota-store.ts';

let clock: number;
let store: QuotaStore;
beforeEach(() => {
  clock = 1_700_000_000_000;
  store = createMemoryLimits({ now: () => clock });
});

it('remembers an admission for a minute and a refusal for five seconds', async () => {
  const tenant = freshTenant();
  const [first, second] = [claimOf(tenant, { windows: [windowOf(1)] }), claimOf(tenant, { windows: [windowOf(1)] })];
  const kinds = async () => [(await store.admit(first)).kind, (await store.admit(second)).kind];
  expect(await kinds()).toEqual(['admitted', 'refused']);
  // The limit is raised, but the answers stand.
  const raised = { ...second, windows: [windowOf(5)] };
  clock += 4_999;
  expect((await store.admit(raised)).kind).toBe('refused');
  clock += 1;
  expect((await store.admit(raised)).kind).toBe('admitted');
  clock += 54_999;
  expect((await store.admit(first)).kind).toBe('admitted');
  clock += 1;
  expect((await store.admit(first)).kind).toBe('refused');
});

it('forgets leases after a minute without a word', async () => {
  const tenant = freshTenant();
  const held = claimOf(tenant, { concurrent: 1 });
  expect((await store.admit(held)).kind).toBe('admitted');
  clock += 59_999;
  expect((await store.admit(claimOf(tenant, { concurrent: 1 }))).kind).toBe('refused');
  await store.apply([{ kind: 'prolong', tenant, requestId: held.requestId }]);
  clock += 59_999;
  expect((await store.admit(claimOf(tenant, { concurrent: 1 }))).kind).toBe('refused');
  clock += 1;
  expect((await store.admit(claimOf(tenant, { concurrent: 1 }))).kind).toBe('admitted');
});

it('counts processes that said something lately', async () => {
  expect([await store.beat('a'), await store.beat('b'), await store.beat('a')]).toEqual([1, 2, 2]);
  clock += 14_000;
  expect(await store.beat('b')).toBe(2);
  clock += 1_000;
  expect(await store.beat('b')).toBe(1);
});

it('keeps what counts of a tenant that was silent for long', async () => {
  const tenant = freshTenant();
  const month = () => claimOf(tenant, { windows: [windowOf(1, { windowMs: 90 * 86_400_000 })] });
  expect((await store.admit(month())).kind).toBe('admitted');
  clock += 86_400_000;
  for (let i = 0; i < 3; i += 1) {
    clock += 20_000;
    await store.admit(claimOf(freshTenant()));
  }
  expect((await store.admit(month())).kind).toBe('refused');
});
