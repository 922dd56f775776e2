// The names of the quota keys in Redis; docs/redis-keys.md describes them.

import type { TenantId } from '../core/ids.ts';

/** Who is alive: one for all tenants. */
export const ALIVE_KEY = 'mcp:alive';

/** The hash tag puts all keys of a tenant on one node of a cluster, so that one script may use them together. */
function tenantPrefix(tenant: TenantId): string {
  return `mcp:q:{${tenant}}:`;
}

export function verdictKey(tenant: TenantId, requestId: string): string {
  return `${tenantPrefix(tenant)}v:${requestId}`;
}

export function leasesKey(tenant: TenantId): string {
  return `${tenantPrefix(tenant)}c`;
}

export function slotsKey(tenant: TenantId): string {
  return `${tenantPrefix(tenant)}s`;
}

/** Without the window's number, which only Redis knows: its clock decides. The script adds it, behind another ":". */
export function windowKeyPrefix(tenant: TenantId, counter: string): string {
  return `${tenantPrefix(tenant)}w:${counter}`;
}
