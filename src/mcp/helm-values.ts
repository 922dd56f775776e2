// The tool `helm_values`: the values file that installs the gateway with its backends and tenants on Kubernetes, and the command.

import type { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { claimPresets } from '../config/issuer-presets.ts';
import type { Perform } from '../control/calls.ts';
import { answer, failed } from './answer.ts';
import { adapterDataOf, backendArguments } from './backend-arguments.ts';

const issuer = z.strictObject({
  issuer: z.string().describe('Its URL, exactly as tokens say it in iss, such as https://login.microsoftonline.com/TENANT/v2.0.'),
  preset: z
    .enum(Object.keys(claimPresets) as (keyof typeof claimPresets)[])
    .optional()
    .describe('Which product it is: how roles and groups are called there.'),
  audiences: z.array(z.string()).optional().describe('What tokens have to say in aud, such as the client id.'),
});
const backend = z.strictObject({
  name: z.string(),
  image: z.string().optional().describe('A container image, npm:name@1.2.3, pypi:name==1.2.3, or the URL of a server that runs elsewhere.'),
  ...backendArguments,
  env: z
    .record(z.string(), z.string())
    .optional()
    .describe('Environment variables. Their values are not in the file: a Secret holds them.'),
});
const tenant = z.strictObject({
  name: z.string(),
  match: z
    .array(z.strictObject({ issuer: z.string(), claim: z.string(), values: z.array(z.string()) }))
    .optional()
    .describe('Whose callers these are: one entry has to fit, such as the claim groups with one of some values.'),
  quotas: z
    .array(
      z.strictObject({
        requests: z.int().min(0),
        per: z.string().describe('The window, such as 1h.'),
        scope: z.enum(['tenant', 'subject']).optional(),
        backend: z.string().optional(),
        tool: z.string().optional(),
      }),
    )
    .optional(),
  sessions: z.int().min(0).optional().describe('How many sessions may be open.'),
  concurrent_requests: z.int().min(0).optional().describe('How many requests may be under way.'),
});

const input = z.strictObject({
  issuers: z.array(issuer).optional().describe('Whose tokens are accepted. Left out: those of this gateway. []: no token is asked for.'),
  backends: z.array(backend).optional().describe('Left out: all of this gateway. With its name alone: as it is declared here.'),
  tenants: z.array(tenant).optional().describe('Left out: all of this gateway. With its name alone: as it is declared here.'),
  public_url: z.string().optional().describe('Where clients will reach the gateway, such as https://mcp.example.com.'),
  replicas: z.int().min(1).max(100).optional().describe('How many gateways there will be. More than one need a Redis.'),
});
type Input = z.output<typeof input>;

const output = z.object({
  values: z.string().describe('The file values.yaml, as a whole.'),
  command: z.string().describe('Installs or changes the release.'),
  secrets: z
    .array(
      z.object({
        namespace: z.string(),
        name: z.string(),
        keys: z.array(z.string()),
        command: z.string().describe('Makes the Secret; the user puts the values in.'),
      }),
    )
    .describe('Secrets that the user has to make.'),
  notes: z.array(z.string()).describe('What was left out, and what has to be looked at.'),
});

export function addHelmValues(server: McpServer, perform: Perform): void {
  server.registerTool(
    'helm_values',
    {
      title: 'Values for Helm',
      description:
        'Writes a complete values file for the Helm chart of the gateway, for the issuers, backends and tenants that are given, or for what this gateway has declared, and the command that installs it. Changes nothing.',
      inputSchema: input,
      outputSchema: output,
      annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
    },
    async (args) => {
      try {
        const made = output.parse(await perform({ method: 'POST', path: ['helm-values'], body: requestOf(args) }));
        return answer(made, textOf(made));
      } catch (error) {
        return failed(error, {
          missing:
            'Give its image (a backend) or its match (a tenant) as well, or leave it out: list_backends shows which backends there are.',
        });
      }
    },
  );
}

function requestOf({ issuers, backends, tenants, public_url: publicUrl, replicas }: Input) {
  return {
    ...{ issuers, publicUrl, replicas },
    backends: backends?.map((each) => adapterDataOf(each)),
    tenants: tenants?.map(({ sessions, concurrent_requests: concurrentRequests, ...same }) => ({
      ...same,
      ...((sessions !== undefined || concurrentRequests !== undefined) && { limits: { sessions, concurrentRequests } }),
    })),
  };
}

function textOf({ values, command, secrets, notes }: z.output<typeof output>): string {
  const after = [`Save this as values.yaml and run: ${command}`, ...secrets.map((secret) => `Then: ${secret.command}`), ...notes];
  return `${values}\n${after.map((line) => `# ${line}`).join('\n')}\n`;
}
