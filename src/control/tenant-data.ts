// A tenant as the API takes it: the fields of MCPTenant, as answers show them, and changes to single limits.

import { z } from 'zod';
import { resourceName } from '../config/backend-spec.ts';
import { parseDuration } from '../config/durations.ts';
import { quotaFields, tenantSpec } from '../config/tenant-spec.ts';
import { ControlRefusal, fieldProblems, invalid, objectOf } from './refusal.ts';

/** What an answer says on top of what was registered: not looked at in what a client sends back. */
const READ_ONLY: ReadonlySet<string> = new Set(['use', 'note', 'source', 'revision', 'createdBy', 'createdAt', 'lastUpdatedAt']);

/** A tenant has four levels. A body may have as many as it has bytes, and each of them would be a call. */
const MAX_DEPTH = 8;

const { priority, match, tools, quotas, limits, audit, onOutage } = tenantSpec.shape;
const fields = { priority, match, tools, quotas, limits, audit, onOutage };
const optional = {
  priority: priority.optional(),
  match: match.optional(),
  tools: tools.optional(),
  quotas: quotas.optional(),
  limits: limits.optional(),
  audit: audit.optional(),
  onOutage: onOutage.optional(),
};

export const tenantData = z.strictObject({ name: resourceName, ...optional });
const namedInPath = z.strictObject({ name: resourceName.optional(), ...optional });

/** Durations are text, and nothing is assumed. */
export type TenantData = { readonly name: string } & Readonly<Partial<Record<keyof typeof fields, unknown>>>;

const limit = z.int().min(0).nullable();
/** Quotas are told apart by everything but their number; null takes one away. */
export const tenantAdjustment = z.strictObject({
  quotas: z
    .array(z.strictObject({ ...quotaFields.shape, requests: limit }))
    .max(256)
    .optional(),
  limits: z.strictObject({ sessions: limit.optional(), concurrentRequests: limit.optional() }).optional(),
});

/** @throws ControlRefusal `invalid` with every problem. @param name what the path says; undefined: the body has to say it. */
export function readTenantData(body: unknown, name?: string): TenantData {
  const given = withoutNulls(writableOf(body)) as Record<string, unknown>;
  const { success, error } = (name === undefined ? tenantData : namedInPath).safeParse(given);
  if (!success) throw invalid(fieldProblems(error));
  if (name !== undefined && given['name'] !== undefined && given['name'] !== name) {
    throw invalid([{ field: 'name', message: `cannot be changed: this is ${name}` }]);
  }
  return { ...given, name: name ?? String(given['name']) };
}

/** A quota as resources say it. */
export type QuotaText = z.input<typeof quotaFields>;
type Change = { readonly requests: number | null } & Omit<QuotaText, 'requests'>;

export interface TenantAdjustment {
  readonly quotas?: readonly Change[];
  readonly limits?: Readonly<Partial<Record<'sessions' | 'concurrentRequests', number | null>>>;
}

/** @throws ControlRefusal `invalid`. */
export function readTenantAdjustment(body: unknown): TenantAdjustment {
  const given = objectOf(body);
  const { success, error } = tenantAdjustment.safeParse(given);
  if (!success) throw invalid(fieldProblems(error));
  return given as TenantAdjustment;
}

/** The `spec` with the changes made. */
export function adjusted(spec: Readonly<Record<string, unknown>>, change: TenantAdjustment): Record<string, unknown> {
  let list = [...((spec['quotas'] ?? []) as readonly QuotaText[])];
  for (const wanted of change.quotas ?? []) {
    const at = placeOf(wanted, list);
    const { requests, ...rest } = wanted;
    // Who thinks that it is gone should know that it is not there.
    if (requests === null && at < 0)
      throw new ControlRefusal('missing', `there is no quota like this per ${wanted.per}: it cannot be removed`);
    const next = requests === null ? [] : [{ requests, ...rest }];
    list = at < 0 ? [...list, ...next] : list.toSpliced(at, 1, ...next);
  }
  const limitsNow = { ...(spec['limits'] as object | undefined), ...change.limits };
  return { ...spec, quotas: list, limits: withoutNulls(limitsNow) };
}

/** The one that counts the same requests in the same time; -1: there is none. */
function placeOf(wanted: Change, list: readonly QuotaText[]): number {
  const about = ({ per, scope = 'tenant', backend, tool, countAll = false }: Omit<QuotaText, 'requests'>): string =>
    JSON.stringify([parseDuration(per), scope, backend ?? null, tool ?? null, countAll]);
  return list.findIndex((quota) => about(quota) === about(wanted));
}

function writableOf(body: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(objectOf(body)).filter(([field]) => !READ_ONLY.has(field)));
}

/** Answers say null for what is not limited; `use` stands in each of their quotas. What is nested deeper than any of it stays as it is. */
function withoutNulls(value: unknown, depth = MAX_DEPTH): unknown {
  if (typeof value !== 'object' || value === null || depth === 0) return value;
  if (Array.isArray(value)) return value.map((each) => withoutNulls(each, depth - 1));
  const kept = Object.entries(value).filter(([field, each]) => each !== null && each !== undefined && field !== 'use');
  return Object.fromEntries(kept.map(([field, each]) => [field, withoutNulls(each, depth - 1)]));
}
