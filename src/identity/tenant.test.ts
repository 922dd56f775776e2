// Which tenant a caller belongs to.

import { expect, it } from 'vitest';
import type { TenantId } from '../core/ids.ts';
import type { TenantPolicy } from '../directory/snapshot.ts';
import type { Identity } from './identity.ts';
import { tenantOf } from './tenant.ts';

const issuer = 'https://login.example.com/';

function tenant(name: string, ...match: TenantPolicy['match']): TenantPolicy {
  return {
    name: name as TenantId,
    priority: 0,
    match,
    tools: undefined,
    quotas: [],
    limits: { sessions: undefined, concurrentRequests: undefined },
    onOutage: 'deny',
    auditArguments: false,
  };
}

function caller(claims: Readonly<Record<string, readonly string[]>>, own?: string): Identity {
  return {
    issuer,
    subject: 'ann',
    tenant: own,
    roles: [],
    scopes: [],
    audiences: [],
    listedAudience: true,
    expiresAt: 0,
    claim: (name) => claims[name] ?? [],
  };
}

const rule = (claim: string, ...values: string[]) => ({ issuer, claim, values });

it.each<[string, Identity, string | undefined]>([
  ['the first of several that fit', caller({ groups: ['ops', 'eng'] }), 'eng'],
  ['one of several values', caller({ groups: ['dev'] }), 'eng'],
  ['one of several alternatives', caller({ dept: ['42'] }), 'eng'],
  ['a later one', caller({ groups: ['ops'] }), 'ops'],
  ['the one that the tenant claim names', caller({}, 'named'), 'named'],
  ['a rule of higher priority before the tenant claim', caller({ groups: ['eng'] }, 'named'), 'eng'],
  ['none without the values', caller({ groups: ['Eng', 'en', ''] }), undefined],
  ['none without claims', caller({}), undefined],
  ['none of an unknown name', caller({}, 'nobody'), undefined],
  ['none of the same claim from another issuer', { ...caller({ groups: ['eng'] }), issuer: 'https://login.example.com' }, undefined],
])('%s', (_what, identity, name) => {
  const tenants = [tenant('eng', rule('groups', 'dev', 'eng'), rule('dept', '42')), tenant('ops', rule('groups', 'ops')), tenant('named')];
  expect(tenantOf(identity, tenants)?.name).toBe(name);
});
