// A backend as the tools take it, in plain words, and as the REST interface takes it.

import { z } from 'zod';

/** What may be said of a backend besides its name and image. */
export const backendArguments = {
  env: z.record(z.string(), z.string()).optional().describe('Environment variables. Their values are never shown again.'),
  args: z.array(z.string()).optional().describe('Arguments of the program; $(PORT) stands for the port that it is given.'),
  transport: z.enum(['streamable-http', 'stdio']).optional().describe('What the server speaks; streamable-http unless told otherwise.'),
  port: z.int().min(1).max(65_535).optional().describe('Of a container; programs on this machine are given a port in PORT.'),
  path: z.string().optional().describe('Where the server takes MCP requests; /mcp unless told otherwise.'),
  replicas: z.int().min(0).max(100).optional(),
  affinity: z.enum(['session', 'none']).optional().describe('none: the server is stateless, and requests are spread evenly.'),
  healthCheck: z
    .strictObject({ type: z.enum(['http', 'mcp']).optional(), path: z.string().optional() })
    .optional()
    .describe('GET /healthz unless told otherwise; { "type": "mcp" } probes with an MCP request.'),
  tenants: z.array(z.string()).optional().describe('Tenants that may use it, "*" for all. None: its creator and administrators.'),
};

type Arguments = z.output<z.ZodObject<typeof backendArguments>>;
interface Present {
  readonly environmentVariables?: Readonly<Record<string, unknown>>;
  readonly access?: object | null;
}

/** The body for the REST interface. @param present what is registered: other variables and rules of access stay as they are there. */
export function adapterDataOf<Given extends Arguments>({ env, replicas, tenants, ...same }: Given, present?: Present) {
  return {
    ...same,
    ...(env && { environmentVariables: { ...present?.environmentVariables, ...env } }),
    ...(replicas !== undefined && { replicaCount: replicas }),
    ...(tenants && { access: { ...present?.access, tenants } }),
  };
}
