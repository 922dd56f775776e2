// The schema of an MCPTenant's `spec`: which callers belong to it, and what they may use up.

import { z } from 'zod';
import { toolRules } from './access-spec.ts';
import { resourceName } from './backend-spec.ts';
import { duration } from './durations.ts';

const MAX_LIST = 256;
const MAX_QUOTAS = 128;
const text = z.string().min(1).max(1024);

/** The fields of one quota. */
export const quotaFields = z.strictObject({
  requests: z.int().min(0).describe('How many requests may be made in each period.'),
  per: duration({ minMs: 1000 }).describe('How long a period is, such as 1m or 24h.'),
  scope: z.enum(['tenant', 'subject']).default('tenant').describe('tenant: all callers share the number. subject: each caller has it.'),
  backend: resourceName.optional().describe('Only requests to this backend count.'),
  tool: text.optional().describe('Only calls of these tools count; * stands for any characters.'),
  countAll: z.boolean().default(false).describe('Whether every request counts, and not tool calls alone.'),
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

const issuer = z
  .string()
  .max(2048)
  .refine((url) => URL.canParse(url), 'must be an absolute URL');
const entry = z.strictObject({
  issuer: issuer.describe('The issuer of the token, exactly as its claim iss says it.'),
  claim: text.describe('The claim that is looked at, such as groups.'),
  values: z.array(text).min(1).max(MAX_LIST).describe('One of these has to be in it.'),
});
const limits = z.strictObject({
  sessions: z.int().min(0).optional().describe('How many sessions may be open at once. Without it: any number.'),
  concurrentRequests: z.int().min(0).optional().describe('How many requests may be under way at once. Without it: any number.'),
});

/** The schema of an MCPTenant's `spec`; durations in milliseconds. */
export const tenantSpec = z.strictObject({
  priority: z.int().default(0).describe('Who fits several tenants belongs to the one with the highest priority.'),
  match: z
    .array(entry)
    .max(MAX_LIST)
    .default([])
    .describe('Whose callers these are: one entry has to fit. Without any: those whose issuer names the tenant in its tenant claim.'),
  tools: toolRules.prefault({}).describe('Which tools of any backend the callers may see and call.'),
  quotas: z.array(quotaFields).max(MAX_QUOTAS).default([]).superRefine(refuseTwins).describe('How many requests may be made in a time.'),
  limits: limits.prefault({}).describe('How much may be open or under way at once.'),
  audit: z
    .strictObject({
      arguments: z.boolean().default(false).describe("Whether the audit log holds the arguments of the callers' tool calls."),
    })
    .prefault({})
    .describe('What the audit log holds.'),
  onOutage: z
    .enum(['allow-local', 'deny'])
    .default('allow-local')
    .describe('When Redis cannot be reached: allow-local counts in each gateway alone, deny refuses.'),
});

/** A validated tenant specification with every default filled in. */
export type TenantSpec = z.output<typeof tenantSpec>;
