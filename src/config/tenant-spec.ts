// The schema of an MCPTenant's `spec`: which callers belong to it, and what they may use up.

import { z } from 'zod';
import { resourceName, toolRules } from './backend-spec.ts';
import { duration } from './durations.ts';

const MAX_LIST = 256;
const text = z.string().min(1).max(1024);

/** The fields of one quota. */
export const quotaFields = z.strictObject({
  requests: z.int().min(0),
  per: duration({ minMs: 1000 }),
  scope: z.enum(['tenant', 'subject']).default('tenant'),
  backend: resourceName.optional(),
  tool: text.optional(),
  countAll: z.boolean().default(false),
});

/** Two that differ in their limit alone would be one counter, charged twice. */
function refuseTwins(quotas: readonly z.output<typeof quotaFields>[], context: z.RefinementCtx): void {
  const seen = new Map<string, number>();
  for (const [at, { requests: _, ...same }] of quotas.entries()) {
    const key = JSON.stringify([same.per, same.scope, same.backend, same.tool, same.countAll]);
    const before = seen.get(key);
    if (before === undefined) seen.set(key, at);
    else
      context.addIssue({ code: 'custom', path: [at], message: `differs from quota ${before} in its requests alone: keep the lower one` });
  }
}

/** The schema of an MCPTenant's `spec`; durations in milliseconds. */
export const tenantSpec = z.strictObject({
  priority: z.int().default(0),
  match: z
    .array(z.strictObject({ issuer: z.url(), claim: text, values: z.array(text).min(1).max(MAX_LIST) }))
    .max(MAX_LIST)
    // Without entries: only callers whose issuer's tenant claim names this tenant.
    .default([]),
  tools: toolRules.prefault({}),
  quotas: z.array(quotaFields).max(MAX_LIST).default([]).superRefine(refuseTwins),
  limits: z.strictObject({ sessions: z.int().min(0).optional(), concurrentRequests: z.int().min(0).optional() }).prefault({}),
  /** Whether the audit log holds the arguments of this tenant's tool calls. */
  audit: z.strictObject({ arguments: z.boolean().default(false) }).prefault({}),
  onOutage: z.enum(['allow-local', 'deny']).default('allow-local'),
});

/** A validated tenant specification with every default filled in. */
export type TenantSpec = z.output<typeof tenantSpec>;
