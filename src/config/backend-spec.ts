// The schema of an MCPBackend's `spec`: one MCP server, how to run or reach it, and who may use it.

import { z } from 'zod';
import { access } from './access-spec.ts';
import { crossFieldProblems } from './backend-rules.ts';
import { duration } from './durations.ts';
import { environment } from './env-spec.ts';
import { imageSchema } from './image-reference.ts';
import { upstreamAuthSchema } from './upstream-auth.ts';
import { MAX_REPLICAS, resources, scaling, storage } from './workload-spec.ts';

const MAX_LIST = 256;
const MAX_TEXT = 32_768;

/** Names of resources: DNS-1035 labels. 50, not 63, characters: Kubernetes objects get suffixes. */
export const resourceName = z
  .string()
  .max(50, 'must have at most 50 characters')
  .regex(/^[a-z]([-a-z0-9]*[a-z0-9])?$/, 'must start with a letter and contain only a-z, 0-9 and "-", not at the end (DNS-1035)');

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

const healthCheck = z
  .strictObject({
    type: z.enum(['http', 'mcp']).optional().describe('http asks path; mcp opens and ends a session.'),
    path: httpPath.optional().describe('What http asks for. Default: /healthz.'),
  })
  .superRefine((check, context) => {
    if (check.type === 'mcp' && check.path !== undefined) {
      context.addIssue({ code: 'custom', path: ['path'], message: 'is not used with type: mcp (the probe goes to spec.path)' });
    }
  });

const sessions = z.strictObject({
  recovery: z
    .enum(['reinitialize', 'fail'])
    .default('reinitialize')
    .describe('What becomes of a session whose instance is gone: reinitialize opens it again elsewhere, fail answers 404.'),
  idleTimeout: duration({ minMs: 1000 }).prefault('30m').describe('After this long without a request the server ends its session.'),
  // Keys that ids were sealed with open for no longer than this.
  maxAge: duration({ minMs: 1000, maxMs: 30 * 24 * 3_600_000 })
    .prefault('30d')
    .describe('After this long a session id is worth nothing; at most 30d.'),
});

/** The fields of a backend's `spec`, one by one: what they take and what is assumed for them. */
export const backendFields = z.strictObject({
  image: imageSchema
    .optional()
    .describe(
      'What to run: a container image, npm:@scope/name@1.2.3, pypi:name==1.2.3, or exec:./path (a program of this machine, in files only).',
    ),
  url: remoteUrl.optional().describe('Instead of image: the MCP endpoint of a server that runs elsewhere.'),
  upstreamAuth: upstreamAuthSchema.optional().describe('A header with a secret that every request to url carries.'),
  args: z
    .array(z.string({ error: 'must be text: put numbers and true/false in quotes' }).max(MAX_TEXT))
    .max(MAX_LIST)
    .default([])
    .describe('Arguments of the server. $(PORT) stands for the port that it is to listen on.'),
  env: environment.default([]).describe('Environment variables of the server.'),
  transport: z
    .enum(['streamable-http', 'stdio'])
    .default('streamable-http')
    .describe('What the server speaks. stdio: a bridge runs one process of it per session.'),
  port: z.int().min(1).max(65_535).default(8000).describe('The port that the server listens on, in its variable PORT.'),
  path: httpPath.default('/mcp').describe("The path of the server's MCP endpoint."),
  replicas: z.int().min(0).max(MAX_REPLICAS).default(1).describe('How many instances there are.'),
  affinity: z
    .enum(['session', 'none'])
    .default('session')
    .describe('session: all requests of a session go to its instance. none: the server is stateless, each goes to the least loaded one.'),
  healthCheck: healthCheck.optional().describe('How to see that an instance can take requests. Without it: GET /healthz.'),
  sessions: sessions.prefault({}).describe('How long sessions live, and what becomes of lost ones.'),
  scaling: scaling.prefault({}).describe('When instances are started and stopped.'),
  resources: resources.optional().describe('Processors and memory of each instance, as in a container of Kubernetes. Not used locally.'),
  storage: storage.optional().describe('A volume of its own for each instance, which outlives it. Not used locally.'),
  access: access.optional().describe('Who may use the backend, and which of its tools. Without it: its creator and administrators.'),
  trustToolHints: z
    .boolean()
    .default(false)
    .describe('Whether calls of tools that say readOnlyHint or idempotentHint may be sent again when a connection breaks.'),
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
  for (const { path, message } of crossed) {
    context.addIssue({ code: 'custom', path: [...path], message });
  }
  return parsed.success && crossed.length === 0 ? parsed.data : z.NEVER;
});

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
  return /[?#]/.test(text) ? 'must not contain a query or fragment' : undefined;
}
