// Tenants as administrators see them: what is declared, and how much of it is used up.

import { formatDuration } from '../config/durations.ts';
import type { TenantId } from '../core/ids.ts';
import { within } from '../core/within.ts';
import type { Snapshot, TenantPolicy, TenantQuota, ToolRules } from '../directory/snapshot.ts';
import type { Limits, Usage, WindowLimit } from '../quota/limits.ts';

/** Somebody waits for the answer, and it is worth something without the numbers. */
const USAGE_TIMEOUT_MS = 2_000;

/** One tenant in the words of its MCPTenant. */
export interface TenantSummary {
  readonly name: TenantId;
  readonly priority: number;
  readonly match: TenantPolicy['match'];
  /** Null: every tool is allowed. */
  readonly tools: ToolRules | null;
  readonly quotas: readonly QuotaSummary[];
  /** Null: not limited. */
  readonly limits: Readonly<Record<LimitName, number | null>>;
  readonly onOutage: TenantPolicy['onOutage'];
}

type LimitName = 'sessions' | 'concurrentRequests';

export interface QuotaSummary {
  readonly requests: number;
  readonly per: string;
  readonly scope: TenantQuota['scope'];
  readonly backend: string | null;
  readonly tool: string | null;
  readonly countAll: boolean;
}

export interface QuotaUse {
  readonly used: number;
  readonly remaining: number;
  /** Until the next window begins. */
  readonly resetMs: number;
}

export interface TenantDetail extends TenantSummary {
  /** `use` is null when it is not known: for quotas per subject it never is. */
  readonly quotas: readonly (QuotaSummary & { readonly use: QuotaUse | null })[];
  /** Null when it is not known; what is not limited is not counted either. */
  readonly use: Readonly<Record<LimitName, number | null>>;
  /** Why the use is not known. */
  readonly note?: string;
}

export interface TenantControl {
  /** In the order in which they are tried. */
  list(): readonly TenantSummary[];
  /** Undefined: no tenant is declared under this name. Does not fail without the counters. */
  get(name: string): Promise<TenantDetail | undefined>;
}

export interface TenantControlDependencies {
  readonly directory: { snapshot(): Pick<Snapshot, 'tenants'> };
  readonly limits: Pick<Limits, 'usage'>;
  /** The windows of the quotas that count everybody together, in the order of the quotas. */
  readonly windowsOf: (policy: TenantPolicy) => readonly WindowLimit[];
}

export function createTenantControl({ directory, limits, windowsOf }: TenantControlDependencies): TenantControl {
  return {
    list: () => directory.snapshot().tenants.map(summaryOf),
    async get(name) {
      const policy = directory.snapshot().tenants.find((tenant) => tenant.name === name);
      if (!policy) return undefined;
      const windows = windowsOf(policy);
      const usage = await within(limits.usage(policy.name, windows), USAGE_TIMEOUT_MS).catch(() => undefined);
      return detailOf(policy, windows, usage);
    },
  };
}

function summaryOf({ name, priority, match, tools, quotas, limits, onOutage }: TenantPolicy): TenantSummary {
  return {
    name,
    priority,
    match,
    tools: tools ?? null,
    quotas: quotas.map(quotaOf),
    limits: { sessions: limits.sessions ?? null, concurrentRequests: limits.concurrentRequests ?? null },
    onOutage,
  };
}

function quotaOf({ requests, windowMs, scope, backend, tool, countAll }: TenantQuota): QuotaSummary {
  return { requests, per: formatDuration(windowMs), scope, backend: backend ?? null, tool: tool ?? null, countAll };
}

function detailOf(policy: TenantPolicy, windows: readonly WindowLimit[], usage: Usage | undefined): TenantDetail {
  const summary = summaryOf(policy);
  const states = new Map(usage?.windows.map((state) => [state.name, state]));
  const names = windows.map(({ name }) => name).values();
  const useOf = ({ scope }: QuotaSummary): QuotaUse | null => {
    if (scope === 'subject') return null;
    const state = states.get(names.next().value ?? '');
    return state ? { used: state.limit - state.remaining, remaining: state.remaining, resetMs: state.resetMs } : null;
  };
  const counted = (limit: number | null, used: number | undefined): number | null => (limit === null ? null : (used ?? null));
  return {
    ...summary,
    quotas: summary.quotas.map((quota) => ({ ...quota, use: useOf(quota) })),
    use: {
      sessions: counted(summary.limits.sessions, usage?.sessions),
      concurrentRequests: counted(summary.limits.concurrentRequests, usage?.concurrent),
    },
    ...(usage ? {} : { note: 'the counters cannot be reached: nobody knows at the moment how much is used' }),
  };
}
