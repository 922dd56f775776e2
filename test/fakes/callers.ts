// Tenants and callers as a decision meets them.

import type { TenantId } from '../../src/core/ids.ts';
import type { TenantPolicy, TenantQuota } from '../../src/directory/snapshot.ts';
import type { Caller } from '../../src/gateway/caller.ts';
import type { Identity } from '../../src/identity/identity.ts';
import { createPrincipal } from '../../src/identity/principal.ts';

export const ISSUER = 'https://login.example.com/';

export function tenantPolicyOf(over: Partial<Omit<TenantPolicy, 'name'>> & { name?: string } = {}): TenantPolicy {
  return {
    priority: 0,
    match: [{ issuer: ISSUER, claim: 'groups', values: [over.name ?? 'red'] }],
    tools: undefined,
    quotas: [],
    limits: { sessions: undefined, concurrentRequests: undefined },
    onOutage: 'deny',
    auditArguments: false,
    ...over,
    name: (over.name ?? 'red') as TenantId,
  };
}

export const quotaOf = (over: Partial<TenantQuota> = {}): TenantQuota => ({
  ...{ requests: 10, windowMs: 60_000, scope: 'tenant', backend: undefined, tool: undefined, countAll: false },
  ...over,
});

export function callerOf(
  over: Partial<Pick<Caller, 'policy' | 'admin' | 'local' | 'roles' | 'scopes'>> & { subject?: string } = {},
): Caller {
  const { subject = 'ann', policy, roles = [], scopes = [], admin = false, local = false } = over;
  const tenant = policy?.name ?? ('default' as TenantId);
  return { ...createPrincipal({ issuer: ISSUER, subject, tenant, roles, scopes }), policy, admin, local };
}

export function identityOf(
  over: Partial<Omit<Identity, 'claim'>> & { claims?: Readonly<Record<string, readonly string[]>> } = {},
): Identity {
  const { claims = { groups: ['red'] }, ...rest } = over;
  return {
    issuer: ISSUER,
    subject: 'ann',
    tenant: undefined,
    roles: [],
    scopes: [],
    audiences: ['mcp'],
    listedAudience: true,
    expiresAt: Number.MAX_SAFE_INTEGER,
    ...rest,
    claim: (name) => claims[name] ?? [],
  };
}
