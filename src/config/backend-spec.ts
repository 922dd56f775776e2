// The schema of an MCPBackend's `spec`: one MCP server, how to run or reach it, and who may use it.

import { z } from 'zod';
import { duration } from './durations.ts';
import { imageSchema } from './image-reference.ts';
import { secretKeyRef, variableName } from './secret-ref.ts';
import { clearTextProblem, upstreamAuthSchema } from './upstream-auth.ts';

const MAX_LIST = 256;
const MAX_TEXT = 32_768;
const MAX_REPLICAS = 100;

/** Names of resources: DNS-1035 labels. 50, not 63, characters: Kubernetes objects get suffixes. */
export const resourceName = z
  .string()
  .max(50, 'must have at most 50 characters')
  .regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/, 'must start with a letter and contain only a-z, 0-9 and "-", not at the end (DNS-1035)');

/** Variables that change which code a process runs, and the one that the gateway assigns. */
const REFUSED_VARIABLE = /^(NODE_OPTIONS|PATH|LD_.*|DYLD_.*)$/i;

const envVariable = z
  .strictObject({
    name: variableName,
    value: z.string({ error: 'must be text: put numbers and true/false in quotes' }).max(MAX_TEXT).optional(),
    valueFrom: z.strictObject({ secretKeyRef }).optional(),
  })
  .superRefine((variable, context) => {
    if (REFUSED_VARIABLE.test(variable.name)) {
      context.addIssue({
        code: 'custom',
        path: ['name'],
        message: `${variable.name} may not be set: it changes which code a process runs`,
      });
    }
    if (variable.name === 'PORT') {
      context.addIssue({
        code: 'custom',
        path: ['name'],
        message: 'PORT is assigned by the gateway; use $(PORT) in args or in another variable',
      });
    }
    if ((variable.value === undefined) === (variable.valueFrom === undefined)) {
      context.addIssue({ code: 'custom', path: ['value'], message: 'exactly one of value and valueFrom is needed' });
    }
  });

const httpPath = z
  .string()
  .max(1024)
  .regex(/^\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*$/, 'must be a path that begins with "/", without query');

const remoteUrl = z
  .string()
  .max(2048)
  .transform((text, context) => {
    const problem = urlProblem(text);
    if (problem !== undefined) {
      context.addIssue({ code: 'custom', message: problem });
      return z.NEVER;
    }
    return new URL(text).href;
  });

const texts = z.array(z.string().min(1).max(MAX_TEXT)).max(MAX_LIST);
const scopes = z.array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, 'must be an OAuth scope')).max(MAX_LIST);

/** Tool globs of a backend or tenant: `*` stands for any run of characters; deny wins. */
export const toolRules = z.strictObject({ allow: texts.default(['*']), deny: texts.default([]) });

const healthCheck = z
  .strictObject({ type: z.enum(['http', 'mcp']).optional(), path: httpPath.optional() })
  .superRefine((check, context) => {
    if (check.type === 'mcp' && check.path !== undefined) {
      context.addIssue({ code: 'custom', path: ['path'], message: 'is not used with type: mcp (the probe goes to spec.path)' });
    }
  });

/** The fields of a backend's `spec`, one by one: what they take and what is assumed for them. */
export const backendFields = z.strictObject({
  image: imageSchema.optional(),
  url: remoteUrl.optional(),
  upstreamAuth: upstreamAuthSchema.optional(),
  args: z
    .array(z.string({ error: 'must be text: put numbers and true/false in quotes' }).max(MAX_TEXT))
    .max(MAX_LIST)
    .default([]),
  env: z.array(envVariable).max(MAX_LIST).default([]),
  transport: z.enum(['streamable-http', 'stdio']).default('streamable-http'),
  port: z.int().min(1).max(65_535).default(8000),
  path: httpPath.default('/mcp'),
  replicas: z.int().min(0).max(MAX_REPLICAS).default(1),
  affinity: z.enum(['session', 'none']).default('session'),
  healthCheck: healthCheck.optional(),
  sessions: z
    .strictObject({
      recovery: z.enum(['reinitialize', 'fail']).default('reinitialize'),
      idleTimeout: duration({ minMs: 1000 }).prefault('30m'),
      // Keys that ids were sealed with open for no longer than this.
      maxAge: duration({ minMs: 1000, maxMs: 30 * 24 * 3_600_000 }).prefault('30d'),
    })
    .prefault({}),
  scaling: z
    .strictObject({ toZeroAfter: duration({ minMs: 1000 }).optional(), startTimeout: duration({ minMs: 1000 }).prefault('45s') })
    .prefault({}),
  access: z
    .strictObject({
      tenants: texts.default([]),
      roles: texts.default([]),
      scopes: scopes.default([]),
      toolScopes: z.record(z.string().min(1).max(256), scopes).default({}),
      tools: toolRules.prefault({}),
    })
    .optional(),
  trustToolHints: z.boolean().default(false),
});

/** A validated backend specification with every default filled in; durations in milliseconds, the image parsed. */
export type BackendSpec = z.output<typeof backendFields>;
export type EnvVariable = BackendSpec['env'][number];
export type HealthCheck = NonNullable<BackendSpec['healthCheck']>;

/**
 * The schema of an MCPBackend's `spec`. Rules across fields look at the raw input, so that they are reported together with
 * every error inside the fields instead of after those are mended.
 */
export const backendSpec = z.unknown().transform((input, context): BackendSpec => {
  const parsed = backendFields.safeParse(input);
  const issues = [...(parsed.success ? [] : parsed.error.issues)];
  for (const issue of issues) {
    // biome-ignore lint/suspicious/noExplicitAny: zod's own issue goes through unchanged; its raw and final types differ.
    context.issues.push({ ...issue, input } as any);
  }
  const crossed = typeof input === 'object' && input !== null ? crossFieldProblems(input as Record<string, unknown>) : [];
  for (const [path, message] of crossed) {
    context.addIssue({ code: 'custom', path: [path], message });
  }
  return parsed.success && crossed.length === 0 ? parsed.data : z.NEVER;
});

function crossFieldProblems(raw: Record<string, unknown>): [field: string, message: string][] {
  const problems: [string, string][] = [];
  const has = (field: string): boolean => raw[field] !== undefined;
  if (has('image') === has('url')) {
    problems.push(['image', has('url') ? 'image and url exclude each other' : 'either image or url is needed']);
  }
  if (has('upstreamAuth') && !has('url')) {
    problems.push(['upstreamAuth', 'is only used with url']);
  }
  const readable = has('upstreamAuth') ? clearTextProblem(raw['url']) : undefined;
  if (readable !== undefined) {
    problems.push(['upstreamAuth', readable]);
  }
  if (has('url')) {
    for (const field of ['args', 'env', 'transport', 'port', 'path', 'replicas']) {
      if (has(field)) {
        problems.push([field, field === 'path' ? 'is part of url' : 'is not used with url']);
      }
    }
  }
  if (raw['transport'] === 'stdio' && raw['affinity'] === 'none') {
    problems.push(['affinity', 'none needs a stateless server; transport: stdio runs one process per session']);
  }
  const probed = (raw['healthCheck'] as { path?: unknown } | null | undefined)?.path;
  if (raw['transport'] === 'stdio' && probed !== undefined && probed !== '/healthz') {
    problems.push([
      'healthCheck',
      'path is not used with transport: stdio: the bridge answers at /healthz; { type: mcp } asks the server itself',
    ]);
  }
  const env = Array.isArray(raw['env']) ? (raw['env'] as unknown[]) : [];
  const names = env.map((variable) => (variable as { name?: unknown } | null)?.name).filter((name) => typeof name === 'string');
  for (const name of new Set(names.filter((name, at) => names.indexOf(name) !== at))) {
    problems.push(['env', `${name} is given twice`]);
  }
  return problems;
}

function urlProblem(text: string): string | undefined {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'must be an absolute URL';
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return 'must begin with http:// or https://';
  }
  if (url.username !== '' || url.password !== '') {
    return 'must not contain a user or password: use upstreamAuth';
  }
  return url.search !== '' || url.hash !== '' ? 'must not contain a query or fragment' : undefined;
}
