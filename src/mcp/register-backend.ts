// The tool `register_backend`: declares an MCP server, and waits until it is healthy, or until it is clear why it is not.

import type { CallToolResult, McpServer, ServerContext } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { CallRefused, type Perform } from '../control/calls.ts';
import { type AdapterPart, adapterPart, untilHealthy } from '../control/until-healthy.ts';
import { answer, failed, failure } from './answer.ts';
import { adapterDataOf, backendArguments } from './backend-arguments.ts';
import { backend, backendOf } from './list-backends.ts';

const input = z.strictObject({
  name: z.string().describe('Lower-case letters, digits and "-"; it becomes part of the URL.'),
  image: z
    .string()
    .describe(
      'npm:@scope/name@1.2.3 or pypi:name==1.2.3 with the exact version, a container image, or the URL of a server that runs elsewhere.',
    ),
  ...backendArguments,
  replace: z
    .boolean()
    .optional()
    .describe('Changes the backend of this name that was registered before; what is not named stays as it is.'),
});
type Input = z.output<typeof input>;

export function addRegisterBackend(server: McpServer, perform: Perform): void {
  server.registerTool(
    'register_backend',
    {
      title: 'Register a backend',
      description:
        'Registers an MCP server with the gateway, starts it, and waits until it is healthy. Which images may be registered is up to the administrator of the gateway.',
      inputSchema: input,
      outputSchema: backend,
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
    },
    async (args, context) => {
      try {
        const declared = await declare(args, perform);
        return await whenHealthy(declared, perform, context);
      } catch (error) {
        return failed(error);
      }
    },
  );
}

async function declare({ replace = false, ...args }: Input, perform: Perform): Promise<AdapterPart> {
  const path = ['adapters', args.name];
  const present = replace ? await presentOf(path, perform) : undefined;
  const given = adapterDataOf(args, present);
  if (!present) return adapterPart.parse(await perform({ method: 'POST', path: ['adapters'], body: given }));
  // What is not named stays as it is: nobody loosens the rules of access by correcting a health check.
  const { imageName: _name, imageVersion: _version, requiredRoles: _roles, revision, ...kept } = present;
  return adapterPart.parse(await perform({ method: 'PUT', path, body: { ...kept, ...given }, revision }));
}

const presentBackend = z.looseObject({
  revision: z.string(),
  environmentVariables: z.record(z.string(), z.null()),
  access: z.looseObject({}).nullable(),
});

async function presentOf(path: readonly string[], perform: Perform): Promise<z.output<typeof presentBackend> | undefined> {
  try {
    return presentBackend.parse(await perform({ method: 'GET', path }));
  } catch (error) {
    if (error instanceof CallRefused && error.code === 'missing') return undefined;
    throw error;
  }
}

async function whenHealthy(declared: AdapterPart, perform: Perform, { mcpReq }: ServerContext): Promise<CallToolResult> {
  const token = mcpReq._meta?.progressToken;
  let progress = 0;
  const { adapter, state, seconds } = await untilHealthy(declared, perform, {
    signal: mcpReq.signal,
    async tell(message) {
      if (token === undefined) return;
      progress += 1;
      await mcpReq.notify({ method: 'notifications/progress', params: { progressToken: token, progress, message } });
    },
  });
  const { name, url } = adapter;
  if (state === 'healthy') return answer(backendOf(adapter), `${name} is healthy: ${url}`);
  return state === 'stopped'
    ? answer(backendOf(adapter), `${name} is registered with 0 replicas: nothing runs.`)
    : notHealthy(adapter, seconds);
}

function notHealthy({ name, message, health }: AdapterPart, seconds: number): CallToolResult {
  return failure(
    `${name} is registered, but after ${seconds} s it is not healthy (${health}): ${message}`,
    'Correct what is wrong and call register_backend again with the same name and replace: true (a server without /healthz needs healthCheck: { "type": "mcp" } or the path of its own health check), or ask the user to look at its log: mcp-gateway backends logs NAME.',
  );
}
