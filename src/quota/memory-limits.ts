// Limits counted in this process: for the supervisor without Redis, and for a sidecar's own share while the others are out of reach.

import type { TenantId } from '../core/ids.ts';
import { createExpiringMembers, type ExpiringMembers } from './expiring-members.ts';
import { type Claim, LEASE_TTL_MS, type Verdict } from './limits.ts';
import { ADMITTED_REMEMBERED_MS, ALIVE_MS, type Change, type QuotaStore, REFUSED_REMEMBERED_MS, RETRY_SOON_MS } from './quota-store.ts';
import { createRemembered, type Remembered } from './remembered.ts';
import { createWindowCounters, type WindowCounters } from './window-counters.ts';

/** Of one tenant, about 100 bytes each. Leases end with their limit; slots may be taken again beyond it. */
const MAX_MEMBERS = 100_000;
/** Of one tenant, about 400 bytes each. A Check that is repeated after so many others may be charged twice. */
const MAX_REMEMBERED = 20_000;
const MAX_SIDECARS = 10_000;
/** How often tenants of whom nothing is left are looked for. */
const SWEEP_MS = 10_000;

/** All of one tenant: another one can neither fill it up nor wait for it. There are as many as there are MCPTenants in use. */
interface Tenant {
  readonly windows: WindowCounters;
  readonly leases: ExpiringMembers;
  readonly slots: ExpiringMembers;
  readonly verdicts: Remembered<Verdict>;
  /** Settles when everything that was asked so far is done. */
  last: Promise<unknown>;
  waiting: number;
}

export interface MemoryLimitsOptions {
  readonly now?: () => number;
  readonly leaseTtlMs?: number;
}

/** Nothing here fails or waits for anything outside, so nothing rejects. */
export function createMemoryLimits({ now = Date.now, leaseTtlMs = LEASE_TTL_MS }: MemoryLimitsOptions = {}): QuotaStore {
  const tenants = new Map<TenantId, Tenant>();
  const sidecars = createExpiringMembers(MAX_SIDECARS);
  let sweepAt = Number.NEGATIVE_INFINITY;

  const sweep = (): void => {
    const time = now();
    if (time < sweepAt) return;
    sweepAt = time + SWEEP_MS;
    for (const [id, tenant] of tenants) if (isEmpty(tenant, time)) tenants.delete(id);
  };

  /** One after the other, because counting takes several steps, and a request must not see the half of another one. */
  const inTurn = <T>(tenant: Tenant, step: () => T | Promise<T>): Promise<T> => {
    tenant.waiting += 1;
    const done = tenant.last.then(step).finally(() => {
      tenant.waiting -= 1;
    });
    tenant.last = done.catch(() => {});
    return done;
  };

  const tenantOf = (id: TenantId): Tenant => {
    let tenant = tenants.get(id);
    if (tenant === undefined) {
      tenant = {
        windows: createWindowCounters(),
        leases: createExpiringMembers(MAX_MEMBERS),
        slots: createExpiringMembers(MAX_MEMBERS),
        verdicts: createRemembered(MAX_REMEMBERED, ADMITTED_REMEMBERED_MS),
        last: Promise.resolve(),
        waiting: 0,
      };
      tenants.set(id, tenant);
    }
    return tenant;
  };

  const judge = async (tenant: Tenant, { windows, concurrent, sessions }: Claim, time: number): Promise<Verdict> => {
    const why = fullOf(tenant, { concurrent, sessions }, time);
    if (why !== undefined) return { kind: 'refused', why, windows: await tenant.windows.read(windows, time), retryAfterMs: RETRY_SOON_MS };
    const { admitted, states, retryAfterMs } = await tenant.windows.take(windows, time);
    return admitted ? { kind: 'admitted', windows: states } : { kind: 'refused', why: 'quota', windows: states, retryAfterMs };
  };

  const admit = async (tenant: Tenant, claim: Claim): Promise<Verdict> => {
    const time = now();
    const known = tenant.verdicts.get(claim.requestId, time);
    if (known !== undefined) return known;
    const verdict = await judge(tenant, claim, time);
    const admitted = verdict.kind === 'admitted';
    if (admitted && claim.concurrent !== undefined) tenant.leases.add(claim.requestId, time + leaseTtlMs);
    if (admitted && claim.sessions !== undefined) tenant.slots.add(claim.requestId, time + leaseTtlMs);
    const until = time + (admitted ? ADMITTED_REMEMBERED_MS : REFUSED_REMEMBERED_MS);
    tenant.verdicts.set(claim.requestId, verdict, until, time);
    return verdict;
  };

  return {
    admit(claim) {
      sweep();
      const tenant = tenantOf(claim.tenant);
      return inTurn(tenant, () => admit(tenant, claim));
    },
    async apply(changes) {
      sweep();
      const done: Promise<void>[] = [];
      for (const change of changes) {
        const ends = change.kind === 'release' || change.kind === 'free';
        const tenant = ends ? tenants.get(change.tenant) : tenantOf(change.tenant);
        if (tenant) done.push(inTurn(tenant, () => applyTo(tenant, change, { now: now(), leaseTtlMs })));
      }
      await Promise.all(done);
    },
    async beat(sidecar) {
      if (sidecar !== undefined) sidecars.add(sidecar, now() + ALIVE_MS);
      return sidecars.count(now());
    },
    async usage(id, windows) {
      const time = now();
      const tenant = tenantOf(id);
      return inTurn(tenant, async () => ({
        windows: await tenant.windows.read(windows, time),
        concurrent: tenant.leases.count(time),
        sessions: tenant.slots.count(time),
      }));
    },
  };
}

function fullOf(
  { leases, slots }: Tenant,
  { concurrent, sessions }: Pick<Claim, 'concurrent' | 'sessions'>,
  now: number,
): 'concurrency' | 'sessions' | undefined {
  if (concurrent !== undefined && leases.isFull(concurrent, now)) return 'concurrency';
  if (sessions !== undefined && slots.isFull(sessions, now)) return 'sessions';
  return undefined;
}

function applyTo({ leases, slots }: Tenant, change: Change, { now, leaseTtlMs }: { now: number; leaseTtlMs: number }): void {
  if (change.kind === 'release') leases.delete(change.requestId);
  else if (change.kind === 'prolong') leases.add(change.requestId, now + leaseTtlMs);
  else if (change.kind === 'free') slots.delete(change.member);
  else {
    if (change.kind === 'confirm') slots.delete(change.requestId);
    slots.add(change.session, now + change.idleMs);
  }
}

function isEmpty({ windows, leases, slots, verdicts, waiting }: Tenant, now: number): boolean {
  return waiting === 0 && windows.isEmpty(now) && leases.count(now) === 0 && slots.count(now) === 0 && verdicts.isEmpty(now);
}
