// The unmodified clients of the matrix, all behind one small face: list the tools, call one, say which era was spoken, leave.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMCPClient } from '@ai-sdk/mcp';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { node24, toolBin } from '../setup/tools.ts';

const INSPECTOR_TIMEOUT_MS = 60_000;
const MODERN = '2026-07-28';

/** A client that is connected. */
export interface ConnectedClient {
  /** `undefined` when the client does not tell. */
  readonly era: 'legacy' | 'modern' | undefined;
  listTools(): Promise<string[]>;
  /** @returns the text of the result's first block. */
  callTool(name: string, args: Record<string, unknown>): Promise<string>;
  close(): Promise<void>;
}

/** A kind of client. `keepsSession`: several calls of one connection are one session. */
export interface MatrixClient {
  readonly name: string;
  readonly speaks: 'legacy' | 'modern' | 'both';
  readonly keepsSession: boolean;
  connect(url: string): Promise<ConnectedClient>;
}

const firstText = (result: unknown): string => {
  const { content, isError } = result as { content?: { text?: string }[]; isError?: boolean };
  const text = content?.[0]?.text;
  if (isError === true || text === undefined) throw new Error(`the tool failed: ${JSON.stringify(result)}`);
  return text;
};

async function connectSdk1(url: string): Promise<ConnectedClient> {
  const client = new Client({ name: 'sdk-1', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL(url));
  await client.connect(transport as Parameters<Client['connect']>[0]);
  return {
    era: 'legacy',
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: async (name, args) => firstText(await client.callTool({ name, arguments: args })),
    async close() {
      await transport.terminateSession();
      await client.close();
    },
  };
}

async function connectSdk2(url: string, mode: 'legacy' | 'auto' | { pin: string }): Promise<ConnectedClient> {
  const client = new ModernClient({ name: 'sdk-2', version: '1.0.0' }, { versionNegotiation: { mode } });
  const transport = new ModernTransport(new URL(url));
  await client.connect(transport);
  return {
    era: client.getProtocolEra(),
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    callTool: async (name, args) => firstText(await client.callTool({ name, arguments: args })),
    async close() {
      if (client.getProtocolEra() === 'legacy') await transport.terminateSession();
      await client.close();
    },
  };
}

async function connectAiSdk(url: string): Promise<ConnectedClient> {
  const client = await createMCPClient({ transport: { type: 'http', url }, clientName: 'ai-sdk', version: '1.0.0' });
  const tools = await client.tools();
  return {
    era: undefined,
    listTools: async () => Object.keys(tools),
    async callTool(name, args) {
      const execute = tools[name]?.execute;
      if (execute === undefined) throw new Error(`no tool ${name}`);
      return firstText(await execute(args, { toolCallId: 'one', messages: [] } as unknown as Parameters<typeof execute>[1]));
    },
    close: () => client.close(),
  };
}

/** The Inspector is a command that does one thing and leaves; every call is a session of its own. */
async function connectInspector(url: string): Promise<ConnectedClient> {
  const home = mkdtempSync(join(tmpdir(), 'inspector-'));
  const run = (...args: string[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const command = [toolBin('@modelcontextprotocol/inspector', 'inspector'), '--cli', url, '--transport', 'http', ...args];
      const env = { ...process.env, HOME: home };
      execFile(node24(), command, { timeout: INSPECTOR_TIMEOUT_MS, env }, (error, stdout, stderr) => {
        if (error !== null) reject(new Error(`the Inspector failed: ${error.message}\n${stderr}`));
        else resolve(JSON.parse(stdout));
      });
    });
  return {
    era: undefined,
    listTools: async () => ((await run('--method', 'tools/list')) as { tools: { name: string }[] }).tools.map(({ name }) => name),
    async callTool(name, args) {
      const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
      const pairs = Object.entries(args).flatMap(([key, value]) => ['--tool-arg', `${key}=${text(value)}`]);
      return firstText(await run('--method', 'tools/call', '--tool-name', name, ...pairs));
    },
    close: async () => rmSync(home, { recursive: true, force: true }),
  };
}

export const matrixClients: readonly MatrixClient[] = [
  { name: '@modelcontextprotocol/sdk 1.x', speaks: 'legacy', keepsSession: true, connect: connectSdk1 },
  { name: '@modelcontextprotocol/client 2.x, legacy', speaks: 'legacy', keepsSession: true, connect: (url) => connectSdk2(url, 'legacy') },
  { name: '@modelcontextprotocol/client 2.x, auto', speaks: 'both', keepsSession: true, connect: (url) => connectSdk2(url, 'auto') },
  {
    name: '@modelcontextprotocol/client 2.x, pinned to 2026-07-28',
    speaks: 'modern',
    keepsSession: false,
    connect: (url) => connectSdk2(url, { pin: MODERN }),
  },
  { name: '@ai-sdk/mcp', speaks: 'both', keepsSession: true, connect: connectAiSdk },
  { name: 'Inspector CLI', speaks: 'legacy', keepsSession: false, connect: connectInspector },
];
