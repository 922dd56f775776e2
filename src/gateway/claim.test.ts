// Which quotas a request counts for, and how often.

import { expect, test } from 'vitest';
import { backendOf } from '../../test/fakes/backends.ts';
import { callerOf, quotaOf, tenantPolicyOf } from '../../test/fakes/callers.ts';
import { requestOf } from '../../test/fakes/requests.ts';
import type { TenantPolicy, TenantQuota } from '../directory/snapshot.ts';
import { readBody } from './body.ts';
import { claimOf, hasQuotas, tenantWindows } from './claim.ts';

const message = (method: string, params?: object, id: unknown = 1): string => JSON.stringify({ jsonrpc: '2.0', id, method, params });
const call = (name: string): string => message('tools/call', { name });
const notification = '{"jsonrpc":"2.0","method":"notifications/cancelled"}';
const answer = '{"jsonrpc":"2.0","id":1,"result":{}}';

function claim(
  body: string,
  policy: Partial<Omit<TenantPolicy, 'name'>>,
  { opens = false, subject = 'ann', backend = 'memory', method = 'POST' } = {},
) {
  const request = requestOf({ body, method });
  const asked = readBody(request, false);
  if (asked.kind !== 'asked') throw new Error('refused');
  const known = backendOf({ name: backend });
  const caller = callerOf({ policy: tenantPolicyOf(policy), subject });
  return claimOf(
    { request, shaped: { kind: 'shaped', backend: known, query: '', modern: false }, backend: known, caller, asked, admission: undefined },
    opens,
  );
}
const costs = (body: string, ...quotas: TenantQuota[]) => claim(body, { quotas })?.windows.map(({ name, cost }) => `${name} ${cost}`) ?? [];

test.each([
  ['a call', call('a'), ['tenant-1m 1']],
  ['another request', message('ping'), []],
  ['a notification', notification, []],
  ['an answer', answer, []],
  ['a batch: its calls', `[${call('a')},${message('ping')},${call('b')},${notification}]`, ['tenant-1m 2']],
])('%s counts for a quota of calls', (_, body, expected) => {
  expect(costs(body, quotaOf())).toEqual(expected);
});

test.each([
  ['a call', call('a'), ['tenant-1m 1']],
  ['another request', message('ping'), ['tenant-1m 1']],
  ['a notification', notification, []],
  ['an answer', answer, []],
  ['a batch: its requests', `[${call('a')},${message('ping')},${notification}]`, ['tenant-1m 2']],
])('%s counts for a quota of everything', (_, body, expected) => {
  expect(costs(body, quotaOf({ countAll: true }))).toEqual(expected);
});

test('a quota can be for one backend, and for tools', () => {
  const quotas = [quotaOf({ backend: 'other' }), quotaOf({ backend: 'memory', tool: 'search_*' }), quotaOf({ tool: 'x', countAll: true })];
  expect(costs(call('search_all'), ...quotas)).toEqual(['tenant-1m-memory-tool 1']);
  expect(costs(`[${call('search_a')},${call('x')}]`, ...quotas)).toEqual(['tenant-1m-memory-tool 1', 'tenant-1m-tool 1']);
  expect(costs(message('ping'), ...quotas)).toEqual([]);
});

test('callers of one tenant share a counter, unless it counts per subject', () => {
  const counters = (subject: string, scope: 'tenant' | 'subject') =>
    claim(call('a'), { quotas: [quotaOf({ scope })] }, { subject })?.windows.map(({ counter }) => counter);
  expect(counters('ann', 'tenant')).toEqual(counters('ben', 'tenant'));
  expect(counters('ann', 'subject')).not.toEqual(counters('ben', 'subject'));
  expect(counters('ann', 'subject')).toEqual(counters('ann', 'subject'));
});

test('a changed limit goes on counting where the old one was; anything else is another counter', () => {
  const counter = (over: Partial<TenantQuota>) => claim(call('a'), { quotas: [quotaOf(over)] })?.windows[0]?.counter;
  expect(counter({ requests: 5 })).toBe(counter({ requests: 500 }));
  const different = [
    {},
    { windowMs: 1_000 },
    { backend: 'memory' },
    { tool: 'a' },
    { tool: '*' },
    { countAll: true },
    { scope: 'subject' as const },
  ];
  expect(new Set(different.map(counter)).size).toBe(different.length);
  for (const over of different) expect(counter(over)).toMatch(/^[\x21-\x7a]{1,200}$/);
});

test('names of quotas are unique in an answer', () => {
  expect(costs(call('ab'), quotaOf({ tool: 'a*' }), quotaOf({ tool: '*b' }), quotaOf({ windowMs: 1_500 }))).toEqual([
    'tenant-1m-tool 1',
    'tenant-1m-tool-2 1',
    'tenant-1500ms 1',
  ]);
});

test('requests under way are limited for whatever is a request, sessions for what opens one', () => {
  const limits = { sessions: 3, concurrentRequests: 2 };
  expect(claim(message('initialize'), { limits }, { opens: true })).toMatchObject({ concurrent: 2, sessions: 3, windows: [] });
  expect(claim(message('ping'), { limits })).toMatchObject({ concurrent: 2, sessions: undefined });
  expect(claim(message('subscriptions/listen'), { limits })).toBeUndefined();
  expect(claim(notification, { limits })).toBeUndefined();
  expect(claim('', { limits }, { method: 'GET' })).toBeUndefined();
  expect(claim('', { limits }, { method: 'DELETE' })).toBeUndefined();
});

test('without limits nothing is asked', () => {
  expect(claim(call('a'), {})).toBeUndefined();
  expect(claim(call('a'), { quotas: [quotaOf({ backend: 'other' })] })).toBeUndefined();
  expect(hasQuotas(callerOf(), 'memory')).toBe(false);
  expect(hasQuotas(callerOf({ policy: tenantPolicyOf({ quotas: [quotaOf({ backend: 'other' })] }) }), 'memory')).toBe(false);
  expect(hasQuotas(callerOf({ policy: tenantPolicyOf({ quotas: [quotaOf()] }) }), 'memory')).toBe(true);
});

test('people see the counters of the whole tenant', () => {
  const policy = tenantPolicyOf({ quotas: [quotaOf(), quotaOf({ scope: 'subject' })] });
  expect(tenantWindows(policy)).toEqual([expect.objectContaining({ name: 'tenant-1m', limit: 10 })]);
});
