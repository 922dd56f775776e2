// Unmodified SDK clients of both generations that start an MCP server as a program and speak with it over stdio.

import { Client as ModernClient } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernTransport } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

export interface ToolResult {
  readonly isError: boolean;
  readonly text: string;
  readonly structured: unknown;
}

export interface StdioClient {
  readonly pid: number;
  /** What the server has written to its standard error so far. */
  said(): string;
  tools(): Promise<readonly { readonly name: string; readonly [field: string]: unknown }[]>;
  call(name: string, args?: Readonly<Record<string, unknown>>, onProgress?: (message: string) => void): Promise<ToolResult>;
  close(): Promise<void>;
}

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const CALL_MS = 200_000;

/** `sdk`: version 1, with its handshake. `client`: version 2, which speaks 2026-07-28. */
export async function startStdioClient(generation: 'sdk' | 'client', { command, args, env }: Program): Promise<StdioClient> {
  const parameters = { command, args: [...args], env: { ...env }, stderr: 'pipe' as const };
  let said = '';
  const listen = (stream: { on(event: 'data', listener: (chunk: Buffer) => void): unknown } | null): void => {
    stream?.on('data', (chunk) => {
      said += chunk.toString('utf8');
    });
  };
  const toolResult = ({ isError, content, structuredContent }: Readonly<Record<string, unknown>>): ToolResult => ({
    isError: isError === true,
    text: (content as { text?: string }[]).map(({ text = '' }) => text).join('\n'),
    structured: structuredContent,
  });
  const progressOf = (onProgress?: (message: string) => void) =>
    onProgress && { onprogress: ({ message }: { message?: string | undefined }) => onProgress(message ?? '') };
  if (generation === 'sdk') {
    const client = new Client({ name: 'sdk-1', version: '1.0.0' });
    const transport = new StdioClientTransport(parameters);
    listen(transport.stderr as Parameters<typeof listen>[0]);
    await client.connect(transport);
    return {
      pid: transport.pid as number,
      said: () => said,
      tools: async () => (await client.listTools()).tools,
      call: async (name, given = {}, onProgress) =>
        toolResult(await client.callTool({ name, arguments: { ...given } }, undefined, { timeout: CALL_MS, ...progressOf(onProgress) })),
      close: () => client.close(),
    };
  }
  const client = new ModernClient({ name: 'client-2', version: '1.0.0' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
  const transport = new ModernTransport(parameters);
  listen(transport.stderr as Parameters<typeof listen>[0]);
  await client.connect(transport);
  return {
    pid: transport.pid as number,
    said: () => said,
    tools: async () => (await client.listTools()).tools,
    call: async (name, given = {}, onProgress) =>
      toolResult(await client.callTool({ name, arguments: { ...given } }, { timeout: CALL_MS, ...progressOf(onProgress) })),
    close: () => client.close(),
  };
}
