// The tool `tenant_quota`: shows what a tenant may use up and has used up, and changes it.

import type { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { CallRefused, type Perform } from '../control/calls.ts';
import { answer, failed, failure } from './answer.ts';

const count = z.int().min(0);
const limits = z.object({ sessions: count.nullable(), concurrentRequests: count.nullable() });

const tenant = z.object({
  name: z.string(),
  quotas: z.array(
    z.object({
      requests: count,
      per: z.string().describe('The window, such as 1h.'),
      scope: z.enum(['tenant', 'subject']),
      backend: z.string().nullable().describe('Null: all of them.'),
      tool: z.string().nullable().describe('Null: all of them.'),
      use: z.object({ used: count, remaining: count, resetMs: z.number() }).nullable().describe('Null when it is not known.'),
    }),
  ),
  limits: limits.describe('Null: not limited.'),
  use: limits.describe('What is used of the limits now.'),
});

const input = z.strictObject({
  tenant_id: z.string().describe('The name of the tenant.'),
  requests: count.nullable().optional().describe('Sets the number of requests that a quota allows; null removes the quota.'),
  per: z.string().optional().describe('The window of that quota, such as 1m, 1h or 1d. Needed with requests.'),
  scope: z.enum(['tenant', 'subject']).optional().describe('Whom that quota counts together; tenant unless told otherwise.'),
  backend: z.string().optional().describe('Narrows that quota to one backend.'),
  tool: z.string().optional().describe('Narrows that quota to one tool.'),
  sessions: count.nullable().optional().describe('Sets how many sessions may be open; null: any number.'),
  concurrent_requests: count.nullable().optional().describe('Sets how many requests may be under way; null: any number.'),
  create: z.boolean().optional().describe('Creates the tenant when there is none of this name.'),
});
type Input = z.output<typeof input>;

export function addTenantQuota(server: McpServer, perform: Perform): void {
  server.registerTool(
    'tenant_quota',
    {
      title: 'Quotas of a tenant',
      description:
        'Shows the quotas and limits of a tenant and how much of them is used. With a change it adjusts them; what is used up goes on to count.',
      inputSchema: input,
      outputSchema: tenant,
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
    },
    async (args) => {
      if ((args.requests === undefined) !== (args.per === undefined)) {
        return failure('requests and per belong together', 'Give both, or neither of them to look only.');
      }
      try {
        const found = tenant.parse(await shownOrChanged(args, perform));
        return answer(found);
      } catch (error) {
        return failed(error, { missing: 'Ask the user for the right name, or whether it is to be created, and set create to true.' });
      }
    },
  );
}

async function shownOrChanged(args: Input, perform: Perform): Promise<unknown> {
  const { tenant_id: name, requests, per, scope, backend, tool, sessions, concurrent_requests: concurrentRequests, create = false } = args;
  const path = ['tenants', name];
  const change = {
    ...(requests !== undefined && { quotas: [{ requests, per, scope, backend, tool }] }),
    ...((sessions !== undefined || concurrentRequests !== undefined) && { limits: { sessions, concurrentRequests } }),
  };
  if (create) {
    try {
      // With its limits at once: what is wrong with them leaves no half tenant behind.
      const quotas = change.quotas?.filter((quota) => quota.requests !== null);
      return await perform({ method: 'POST', path: ['tenants'], body: { name, ...change, quotas } });
    } catch (error) {
      if (!(error instanceof CallRefused) || error.code !== 'exists') throw error;
    }
  }
  if (Object.keys(change).length === 0) return perform({ method: 'GET', path });
  return perform({ method: 'PATCH', path, body: change });
}
