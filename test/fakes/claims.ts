// Claims for tests of limits: short to write, with windows so long that none ends during a test.

import type { SessionKey, TenantId } from '../../src/core/ids.ts';
import type { Claim, WindowLimit } from '../../src/quota/limits.ts';

/** Longer than the longest timer of Node, too. */
export const LONG_MS = 30 * 86_400_000;

let made = 0;

/** A tenant that nothing has been counted for. */
export function freshTenant(name = 'tenant'): TenantId {
  made += 1;
  return `${name}-${process.pid}-${Date.now()}-${made}` as TenantId;
}

export function windowOf(limit: number, changes: Partial<WindowLimit> = {}): WindowLimit {
  const windowMs = changes.windowMs ?? LONG_MS;
  return { counter: `tenant.${windowMs}`, name: 'tenant-30d', limit, windowMs, cost: 1, ...changes };
}

/** Each with a request id of its own, unless told. */
export function claimOf(tenant: TenantId, changes: Partial<Claim> = {}): Claim {
  made += 1;
  const nothing = { windows: [], concurrent: undefined, sessions: undefined, onOutage: 'deny' } as const;
  return { requestId: `request-${made}`, tenant, ...nothing, ...changes };
}

export const session = (name: string): SessionKey => `session-${name}` as SessionKey;
