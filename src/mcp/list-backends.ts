// The tool `list_backends`: which MCP servers there are, how they are doing, who may use them, and where.

import type { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Perform } from '../control/calls.ts';
import { type AdapterPart, adapterPart } from '../control/until-healthy.ts';
import { answer, failed } from './answer.ts';

export const backend = z.object({
  name: z.string(),
  image: z.string().describe('The image, or the URL of a server that runs elsewhere.'),
  health: adapterPart.shape.health,
  message: z.string().describe('What is under way or wrong; empty when all is well.'),
  replicas: z.object({ desired: z.number(), ready: z.number() }),
  sessions: z.number().nullable().describe('Open sessions; null when nobody knows at the moment.'),
  tenants: z.array(z.string()).describe('Tenants that may use it, "*" for all of them; its creator and administrators always may.'),
  url: z.string().describe('Where MCP clients connect.'),
});

export function backendOf({ access, name, image, health, message, replicas, sessions, url }: AdapterPart): z.output<typeof backend> {
  const { desired, ready } = replicas;
  return { name, image, health, message, replicas: { desired, ready }, sessions, tenants: access?.tenants ?? [], url };
}

export function addListBackends(server: McpServer, perform: Perform): void {
  server.registerTool(
    'list_backends',
    {
      title: 'List backends',
      description: 'Lists the MCP servers behind the gateway: image, health and what is wrong, replicas, open sessions, tenants, URL.',
      inputSchema: z.strictObject({}),
      outputSchema: z.object({ backends: z.array(backend) }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    async () => {
      try {
        const adapters = z.array(adapterPart).parse(await perform({ method: 'GET', path: ['adapters'] }));
        return answer({ backends: adapters.map(backendOf) });
      } catch (error) {
        return failed(error);
      }
    },
  );
}
