// What a request asks of its tenant's limits: which quotas apply to it, how often it counts, and under which counters.

import { createHash } from 'node:crypto';
import { formatDuration } from '../config/durations.ts';
import type { RpcMessage } from '../core/rpc-peek.ts';
import { globMatches } from '../core/tool-rules.ts';
import type { TenantPolicy, TenantQuota } from '../directory/snapshot.ts';
import type { Principal } from '../identity/principal.ts';
import type { Claim, WindowLimit } from '../quota/limits.ts';
import type { Asked } from './body.ts';
import type { Caller } from './caller.ts';
import type { Case } from './case.ts';

/** The GET stream of the modern era: a client that listens is not at work. */
const LISTEN = 'subscriptions/listen';

/** Whether a POST with these messages holds a place among the requests under way, where these are limited. */
export function mayHoldLease(messages: readonly Pick<RpcMessage, 'type' | 'method'>[]): boolean {
  return messages.some(({ type, method }) => type === 'request' && method !== LISTEN);
}

interface PreparedQuota extends TenantQuota {
  readonly name: string;
  readonly counter: string;
}

/** Once per tenant policy, which lives as long as its snapshot. */
const prepared = new WeakMap<TenantPolicy, readonly PreparedQuota[]>();
const subjectKeys = new WeakMap<Principal, string>();

/** Whether a quota could apply: then the body must be known whole. Concurrency and sessions do not depend on what is in it. */
export function hasQuotas({ policy }: Caller, backend: string): boolean {
  return policy?.quotas.some((quota) => quota.backend === undefined || quota.backend === backend) ?? false;
}

/**
 * Undefined when no limit applies. `opens`: the request opens a session. Only requests count: notifications, answers, GET and DELETE are
 * never charged, and hold no lease.
 */
export function claimOf({ request, caller, backend, asked }: Case, opens: boolean): Claim | undefined {
  const { policy } = caller;
  if (!policy || request.method !== 'POST') return undefined;
  const requests = countRequests(asked);
  if (requests === 0) return undefined;
  const windows = policy.quotas.length === 0 ? [] : windowsOf(policy, caller, backend.name, asked);
  const { concurrentRequests, sessions } = policy.limits;
  const concurrent = asked.single?.method === LISTEN ? undefined : concurrentRequests;
  const limitsSessions = opens ? sessions : undefined;
  if (windows.length === 0 && concurrent === undefined && limitsSessions === undefined) return undefined;
  return { requestId: request.id, tenant: policy.name, windows, concurrent, sessions: limitsSessions, onOutage: policy.onOutage };
}

/** The windows of a request that were claimed before, whoever did it. */
export function windowsFor(policy: TenantPolicy, caller: Principal, backend: string, asked: Asked): WindowLimit[] {
  return countRequests(asked) === 0 ? [] : windowsOf(policy, caller, backend, asked);
}

function windowsOf(policy: TenantPolicy, caller: Principal, backend: string, asked: Asked): WindowLimit[] {
  const windows: WindowLimit[] = [];
  for (const quota of preparedQuotas(policy)) {
    if (quota.backend !== undefined && quota.backend !== backend) continue;
    const cost = costOf(quota, asked);
    if (cost === 0) continue;
    windows.push({ counter: counterFor(quota, caller), name: quota.name, limit: quota.requests, windowMs: quota.windowMs, cost });
  }
  return windows;
}

/** All quotas of a tenant as they apply to everybody together, for people: those per subject are left out. */
export function tenantWindows(policy: TenantPolicy): WindowLimit[] {
  return preparedQuotas(policy)
    .filter(({ scope }) => scope === 'tenant')
    .map(({ counter, name, requests: limit, windowMs }) => ({ counter, name, limit, windowMs, cost: 0 }));
}

function counterFor({ scope, counter }: PreparedQuota, caller: Principal): string {
  if (scope === 'tenant') return counter;
  let key = subjectKeys.get(caller);
  if (key === undefined) {
    key = caller.hash.toString('base64url');
    subjectKeys.set(caller, key);
  }
  return `${counter}.${key}`;
}

function costOf({ countAll, tool }: TenantQuota, { single, messages, complete }: Asked): number {
  // Only an incomplete body comes without messages; where a quota could apply, it was refused before.
  if (!complete && messages.length === 0) return countAll && tool === undefined ? 1 : 0;
  if (single) return counts(single, countAll, tool) ? 1 : 0;
  let cost = 0;
  for (const message of messages) if (message.type === 'request' && counts(message, countAll, tool)) cost += 1;
  return cost;
}

function counts(
  { method, name }: { readonly method: string | undefined; readonly name: string | undefined },
  all: boolean,
  tool: string | undefined,
): boolean {
  if (method !== 'tools/call') return all && tool === undefined;
  return tool === undefined || (name !== undefined && globMatches(tool, name));
}

function countRequests({ messages, complete }: Asked): number {
  if (messages.length === 0) return complete ? 0 : 1;
  let requests = 0;
  for (const { type } of messages) if (type === 'request') requests += 1;
  return requests;
}

function preparedQuotas(policy: TenantPolicy): readonly PreparedQuota[] {
  const known = prepared.get(policy);
  if (known) return known;
  const names = new Map<string, number>();
  const quotas = policy.quotas.map((quota) => {
    const plain = [quota.scope, formatDuration(quota.windowMs), quota.backend, quota.tool === undefined ? undefined : 'tool']
      .filter(Boolean)
      .join('-');
    const before = names.get(plain) ?? 0;
    names.set(plain, before + 1);
    return { ...quota, name: before === 0 ? plain : `${plain}-${before + 1}`, counter: counterOf(quota) };
  });
  prepared.set(policy, quotas);
  return quotas;
}

/** Everything but the limit itself: raising it must not begin to count anew. A glob may hold anything, so its hash stands for it. */
function counterOf({ scope, windowMs, backend = '', tool, countAll }: TenantQuota): string {
  const glob = tool === undefined ? '' : createHash('sha256').update(tool).digest('base64url').slice(0, 16);
  return `${scope}.${windowMs}.${backend}.${glob}.${countAll ? 'all' : 'calls'}`;
}
