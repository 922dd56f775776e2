// Tenants as people see them: the declaration in its own words, and the use of what everybody shares.

import { expect, test } from 'vitest';
import { quotaOf, tenantPolicyOf } from '../../test/fakes/callers.ts';
import { actorOf, memoryRegistry } from '../../test/fakes/control.ts';
import type { TenantResource } from '../config/resources.ts';
import { createDirectory } from '../directory/directory.ts';
import type { TenantPolicy } from '../directory/snapshot.ts';
import type { Usage, WindowLimit } from '../quota/limits.ts';
import { createTenantControl } from './tenants.ts';

const viewer = actorOf('viewer');
const red = tenantPolicyOf({
  name: 'red',
  priority: 5,
  quotas: [
    quotaOf({ requests: 60, scope: 'subject', backend: 'github', tool: 'search_*' }),
    quotaOf({ requests: 1000, windowMs: 3_600_000 }),
    quotaOf({ requests: 9, windowMs: 86_400_000, countAll: true }),
  ],
  limits: { sessions: 20, concurrentRequests: undefined },
  tools: { allow: ['*'], deny: ['drop_*'] },
});

const windowsOf = ({ quotas }: TenantPolicy): WindowLimit[] =>
  quotas.flatMap(({ scope, requests, windowMs }, n) =>
    scope === 'tenant' ? [{ counter: `c${n}`, name: `w${n}`, limit: requests, windowMs, cost: 0 }] : [],
  );

function world(usage: (windows: readonly WindowLimit[]) => Promise<Usage>) {
  const directory = createDirectory();
  directory.putTenants([tenantPolicyOf({ name: 'blue' }), red]);
  const declared = (): readonly TenantResource[] => [];
  const limits = { usage: (_: unknown, windows: readonly WindowLimit[]) => usage(windows) };
  return createTenantControl({ directory, declared, registry: memoryRegistry(), limits, windowsOf, audit() {} });
}

const counted = world(async (windows) => ({
  windows: windows.map(({ name, limit, windowMs }, n) => ({ name, limit, windowMs, remaining: limit - n - 1, resetMs: 1_000 * (n + 1) })),
  concurrent: 7,
  sessions: 3,
}));

test('tenants come in the order in which they are tried, in the words of their resource', () => {
  expect(counted.list(viewer).map(({ name }) => name)).toEqual(['red', 'blue']);
  expect(counted.list(viewer)[0]).toEqual({
    name: 'red',
    priority: 5,
    match: red.match,
    tools: { allow: ['*'], deny: ['drop_*'] },
    quotas: [
      { requests: 60, per: '1m', scope: 'subject', backend: 'github', tool: 'search_*', countAll: false },
      { requests: 1000, per: '1h', scope: 'tenant', backend: null, tool: null, countAll: false },
      { requests: 9, per: '1d', scope: 'tenant', backend: null, tool: null, countAll: true },
    ],
    limits: { sessions: 20, concurrentRequests: null },
    audit: { arguments: false },
    onOutage: 'deny',
    source: '',
    revision: expect.any(String),
  });
});

test('the use of each quota stands with its own quota; quotas per subject have none', async () => {
  const tenant = await counted.get('red', viewer);
  expect(tenant?.quotas.map(({ use }) => use)).toEqual([
    null,
    { used: 1, remaining: 999, resetMs: 1_000 },
    { used: 2, remaining: 7, resetMs: 2_000 },
  ]);
  expect(tenant).not.toHaveProperty('note');
});

test('what is not limited is not counted', async () => {
  expect((await counted.get('red', viewer))?.use).toEqual({ sessions: 3, concurrentRequests: null });
});

test('without the counters the declaration is still there, and says that the use is not known', async () => {
  const tenant = await world(() => Promise.reject(new Error('no connection'))).get('red', viewer);
  expect(tenant).toMatchObject({
    name: 'red',
    limits: { sessions: 20 },
    use: { sessions: null, concurrentRequests: null },
    quotas: [{ use: null }, { use: null }, { use: null }],
    note: expect.stringContaining('cannot be reached'),
  });
});

test('a name that nobody has is no tenant', async () => {
  await expect(counted.get('green', viewer)).rejects.toMatchObject({ code: 'missing', message: 'there is no tenant green' });
});

test('where callers show tokens, the first tenant says whom it is for', async () => {
  const directory = createDirectory();
  const limits = { usage: () => Promise.reject(new Error('not counted')) };
  const registry = memoryRegistry();
  const control = createTenantControl({ directory, declared: () => [], registry, limits, windowsOf, audit() {}, tokensAsked: true });
  await expect(control.create({ name: 'red' }, actorOf('admin'))).rejects.toThrow('match: must be given for the first tenant');
  expect(registry.list()).toEqual([]);
  // Nobody tells the directory here.
  await expect(control.create({ name: 'red', match: [] }, actorOf('admin'))).rejects.toThrow('there is no tenant red');
  expect(registry.list()).toHaveLength(1);
});
