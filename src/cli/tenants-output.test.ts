// Tenants as text: what is declared, what is used, and what is not known.

import { expect, test } from 'vitest';
import type { TenantDetail } from '../control/tenant-view.ts';
import type { TenantId } from '../core/ids.ts';
import { tenantPage, tenantTable } from './tenants-output.ts';

const quota = { requests: 1000, per: '1h', scope: 'tenant', backend: null, tool: null, countAll: false } as const;
const tenant: TenantDetail = {
  name: 'engineering' as TenantId,
  priority: 100,
  match: [
    { issuer: 'https://login.example.com/', claim: 'groups', values: ['eng', 'platform'] },
    { issuer: 'https://other.example/', claim: 'team', values: ['e'] },
  ],
  tools: { allow: ['*'], deny: ['*delete*'] },
  quotas: [
    { ...quota, use: { used: 12, remaining: 988, resetMs: 2_040_000 } },
    { ...quota, requests: 60, per: '1m', scope: 'subject', backend: 'github', tool: 'search_*', countAll: true, use: null },
  ],
  limits: { sessions: 200, concurrentRequests: null },
  use: { sessions: 3, concurrentRequests: null },
  audit: { arguments: false },
  source: '/r/red.yaml',
  revision: 'r1',
  onOutage: 'allow-local',
};

test('a list, one line each', () => {
  expect(tenantTable([tenant, { ...tenant, name: 'x' as TenantId, quotas: [], match: [] }])).toBe(
    [
      'NAME         PRIORITY  QUOTAS               SESSIONS  CONCURRENT  ON OUTAGE    MATCH',
      'engineering  100       1000/1h, 60/1m each  200       -           allow-local  groups=eng,platform from https://login.example.com/ | team=e from https://other.example/',
      'x            100       -                    200       -           allow-local  -',
      '',
    ].join('\n'),
  );
});

test('none at all', () => {
  expect(tenantTable([])).toBe('no tenant is declared: every caller belongs to "default", without limits\n');
});

test('one tenant with its use', () => {
  expect(tenantPage(tenant)).toBe(`engineering
  priority   100
  match      groups=eng,platform from https://login.example.com/
             team=e from https://other.example/
  tools      allow *; deny *delete*
  on outage  allow-local

LIMIT                                                  USED  OF    RESETS
tool calls per 1h                                      12    1000  in 34m
requests per 1m of each subject on github to search_*  -     60    -
open sessions                                          3     200   -
concurrent requests                                    -     -     -
`);
});

test('a note about numbers that are missing', () => {
  const text = tenantPage({ ...tenant, match: [], tools: null, note: 'the counters cannot be reached' });
  expect(text).toMatch(/\n {2}match {6}-\n {2}tools {6}all\n[\s\S]*\n\nthe counters cannot be reached\n$/);
});
