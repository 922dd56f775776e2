// A tenant as the control plane shows it: what is declared, and how much of it is used up.

import { formatDuration } from '../config/durations.ts';
import type { TenantId } from '../core/ids.ts';
import type { TenantPolicy, TenantQuota, ToolRules } from '../directory/snapshot.ts';
import type { Usage, WindowLimit } from '../quota/limits.ts';

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
  readonly audit: { readonly arguments: boolean };
  readonly onOutage: TenantPolicy['onOutage'];
  /** Its file, or `api`. */
  readonly source: string;
  /** Another one whenever the declaration is another one. */
  readonly revision: string;
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

/** Where a tenant is declared, and which declaration it is. */
export type TenantOrigin = Pick<TenantSummary, 'source' | 'revision'>;

export function summaryOf(policy: TenantPolicy, origin: TenantOrigin): TenantSummary {
  const { name, priority, match, tools, quotas, limits, auditArguments, onOutage } = policy;
  return {
    name,
    priority,
    match,
    tools: tools ?? null,
    quotas: quotas.map(quotaOf),
    limits: { sessions: limits.sessions ?? null, concurrentRequests: limits.concurrentRequests ?? null },
    audit: { arguments: auditArguments },
    onOutage,
    ...origin,
  };
}

function quotaOf({ requests, windowMs, scope, backend, tool, countAll }: TenantQuota): QuotaSummary {
  return { requests, per: formatDuration(windowMs), scope, backend: backend ?? null, tool: tool ?? null, countAll };
}

export function detailOf(
  policy: TenantPolicy,
  origin: TenantOrigin,
  { windows, usage }: { readonly windows: readonly WindowLimit[]; readonly usage: Usage | undefined },
): TenantDetail {
  const summary = summaryOf(policy, origin);
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
