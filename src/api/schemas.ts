// What the REST interface and the MCP tools answer with, as schemas: for the OpenAPI document and the tools' output schemas.

import { z } from 'zod';

const count = z.int().min(0);
const time = z.iso.datetime();

export const instance = z.object({
  id: z.string().nullable().describe('Null while no process runs.'),
  state: z.string(),
  pid: z.int().nullable(),
  address: z.string().nullable(),
  restarts: count,
  since: time,
  error: z.string().nullable(),
  sessions: count.nullable(),
});

const toolRules = z.object({ allow: z.array(z.string()), deny: z.array(z.string()) });

export const health = z.enum(['healthy', 'degraded', 'starting', 'unhealthy', 'stopped']);
const amounts = z.object({ cpu: z.string().optional(), memory: z.string().optional() });
const replicas = z.object({ desired: count, ready: count, updated: count });

export const adapter = z
  .object({
    id: z.string(),
    name: z.string(),
    imageName: z.string(),
    imageVersion: z.string(),
    image: z.string(),
    description: z.string(),
    environmentVariables: z.record(z.string(), z.null()).describe('Values are write-only.'),
    replicaCount: count,
    useWorkloadIdentity: z.literal(false),
    requiredRoles: z.array(z.string()),
    createdBy: z.string().nullable().describe('Issuer and subject; null for what files declare.'),
    createdAt: time.nullable(),
    lastUpdatedAt: time.nullable(),
    health,
    message: z.string().describe('What is under way or wrong, or empty.'),
    replicas,
    sessions: count.nullable().describe('Open sessions; null when nobody knows at the moment.'),
    url: z.string().describe('Where MCP clients connect.'),
    affinity: z.enum(['session', 'none']),
    transport: z.enum(['streamable-http', 'stdio']),
    port: z.int(),
    path: z.string(),
    healthCheck: z.object({ type: z.enum(['http', 'mcp']).optional(), path: z.string().optional() }).nullable(),
    access: z
      .object({
        tenants: z.array(z.string()),
        roles: z.array(z.string()),
        scopes: z.array(z.string()),
        toolScopes: z.record(z.string(), z.array(z.string())),
        tools: toolRules,
      })
      .nullable(),
    sessionRules: z.object({ recovery: z.enum(['reinitialize', 'fail']), idleTimeout: z.string(), maxAge: z.string() }),
    scaling: z.object({
      toZeroAfter: z.string().optional(),
      startTimeout: z.string(),
      max: count.optional(),
      sessionsPerReplica: count.optional(),
      requestsPerReplica: count.optional(),
    }),
    resources: z.object({ requests: amounts.optional(), limits: amounts.optional() }).nullable(),
    storage: z.object({ size: z.string(), path: z.string(), storageClass: z.string().optional() }).nullable(),
    args: z.array(z.string()),
    env: z.array(z.object({ name: z.string(), from: z.enum(['value', 'secret']) })),
    trustToolHints: z.boolean(),
    upstreamAuth: z.looseObject({ header: z.string() }).nullable(),
    source: z.string().describe('The file that declares it, or `api`.'),
    revision: z.string(),
    instances: z.array(instance),
  })
  .meta({ id: 'Adapter' });

export const restarted = z.object({ name: z.string(), restarting: z.literal(true) }).meta({ id: 'Restarted' });

export const adapterStatus = z
  .object({
    readyReplicas: count,
    updatedReplicas: count,
    availableReplicas: count,
    image: z.string(),
    replicaStatus: health,
    message: z.string(),
    instances: z.array(instance),
  })
  .meta({ id: 'AdapterStatus' });

const quota = z.object({
  requests: count,
  per: z.string(),
  scope: z.enum(['tenant', 'subject']),
  backend: z.string().nullable(),
  tool: z.string().nullable(),
  countAll: z.boolean(),
});
const limits = z.object({ sessions: count.nullable(), concurrentRequests: count.nullable() });
const tenantFields = {
  name: z.string(),
  priority: z.int(),
  match: z.array(z.object({ issuer: z.string(), claim: z.string(), values: z.array(z.string()) })),
  tools: toolRules.nullable().describe('Null: every tool is allowed.'),
  limits: limits.describe('Null: not limited.'),
  audit: z.object({ arguments: z.boolean() }),
  onOutage: z.enum(['allow-local', 'deny']),
  source: z.string(),
  revision: z.string(),
};

export const tenantSummary = z.object({ ...tenantFields, quotas: z.array(quota) }).meta({ id: 'TenantSummary' });

export const tenantList = z.object({ tenants: z.array(tenantSummary) }).meta({ id: 'TenantList' });

const use = z.object({ used: count, remaining: count, resetMs: z.number().min(0) });
export const tenantDetail = z
  .object({
    ...tenantFields,
    quotas: z.array(z.object({ ...quota.shape, use: use.nullable().describe('Null when it is not known, and for quotas per subject.') })),
    use: limits.describe('What is used of the limits now.'),
    note: z.string().optional(),
  })
  .meta({ id: 'Tenant' });

export const session = z
  .object({
    key: z.string(),
    backend: z.string(),
    tenant: z.string(),
    issuer: z.string(),
    subject: z.string(),
    instance: z.string().nullable(),
    generation: count,
    createdAt: time,
    lastUsed: time,
    expiresAt: time,
  })
  .meta({ id: 'Session' });

export const sessionList = z
  .object({ sessions: z.array(session), more: z.boolean().describe('There may be more than the limit let in.') })
  .meta({ id: 'SessionList' });
export const ended = z.object({ ended: count.describe('How many sessions were open.') }).meta({ id: 'Ended' });

export const problemDetails = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().optional(),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem' });

export const helmValues = z
  .object({
    values: z.string().describe('The values file: YAML text that `helm template` takes.'),
    command: z.string().describe('Installs or changes the release, with the text in values.yaml.'),
    secrets: z
      .array(z.object({ namespace: z.string(), name: z.string(), keys: z.array(z.string()), command: z.string() }))
      .describe('Secrets that have to be made besides.'),
    notes: z.array(z.string()).describe('What was left out, and what has to be looked at.'),
  })
  .meta({ id: 'HelmValues' });
