// The counter server's tools: state of one session, who was reached, and tools that a policy may deny.

import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import type { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { CallToolResult, Tool } from '@modelcontextprotocol/sdk/types.js';

/** What one session remembers; gone with the process, or when it is told to forget. */
export interface SessionState {
  readonly values: Map<string, unknown>;
  calls: number;
  level: string | undefined;
  readonly subscriptions: Set<string>;
}

/** What a tool sees. */
export interface ToolCall {
  readonly session: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly state: SessionState;
  readonly server: Server;
  readonly args: Readonly<Record<string, unknown>>;
}

type Handler = (call: ToolCall) => unknown;

const digest = (value: unknown): string => createHash('sha256').update(String(value)).digest('hex');

const handlers: Readonly<Record<string, Handler>> = {
  put: ({ state, args }) => {
    state.values.set(String(args['key'] ?? 'value'), args['value']);
    return { stored: state.values.size };
  },
  get: ({ state, args }) => ({ value: state.values.get(String(args['key'] ?? 'value')) ?? null }),
  whoami: ({ headers, state }) => ({ host: hostname(), headers, level: state.level ?? null, subscriptions: [...state.subscriptions] }),
  echo: ({ args }) => ({
    length: String(args['payload']).length,
    sha256: digest(args['payload']),
    ...(args['back'] === true && { payload: args['payload'] }),
  }),
  slow: async ({ args }) => {
    await wait(Number(args['ms'] ?? 0));
    return { slept: args['ms'] };
  },
  slow_read: async ({ args }) => {
    await wait(Number(args['ms'] ?? 0));
    return { slept: args['ms'] };
  },
  notify: async ({ server, args }) => {
    for (let index = 0; index < Number(args['count'] ?? 1); index += 1) {
      await server.notification({ method: 'notifications/message', params: { level: 'info', data: { index, tag: args['tag'] } } });
    }
    return { sent: args['count'] ?? 1 };
  },
  denied_tool: () => ({ reached: true }),
  delete_something: () => ({ reached: true }),
};

/** The list as `tools/list` gives it. Arguments are free, so that tests can send what they like. */
export const counterTools: readonly Tool[] = Object.keys(handlers).map((name) => ({
  name,
  description: `The test tool ${name}`,
  inputSchema: { type: 'object', properties: { tag: { type: 'string' } }, additionalProperties: true },
  ...(['get', 'whoami', 'slow_read'].includes(name) && { annotations: { readOnlyHint: true } }),
}));

/** Runs a tool. The result is one text block of JSON that always tells the pid, the session and its number of calls. */
export async function runTool(name: string, call: ToolCall): Promise<CallToolResult | undefined> {
  const handler = handlers[name];
  if (handler === undefined) return undefined;
  call.state.calls += 1;
  const calls = call.state.calls;
  const result = (await handler(call)) as Record<string, unknown>;
  return { content: [{ type: 'text', text: JSON.stringify({ pid: process.pid, session: call.session ?? null, calls, ...result }) }] };
}
