// One MCP server of the counter server's kind, on SDK 1.x: a session's state, its tools, logging level and subscriptions.

import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import {
  CallToolRequestSchema,
  ErrorCode,
  ListResourcesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { counterTools, runTool, type SessionState } from './counter-tools.ts';

const COUNTER_URI = 'counter://value';

/** @returns a server that is not connected yet; each has a state of its own. */
export function createCounterMcp(): Server {
  const state: SessionState = { values: new Map(), calls: 0, level: undefined, subscriptions: new Set() };
  const server = new Server(
    { name: 'counter-server', version: '1.0.0' },
    { capabilities: { tools: {}, logging: {}, resources: { subscribe: true } } },
  );
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: [...counterTools] }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const headers = (extra.requestInfo?.headers ?? {}) as Record<string, string>;
    const result = await runTool(params.name, { session: extra.sessionId, headers, state, server, args: params.arguments ?? {} });
    if (result === undefined) throw new McpError(ErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
    return result;
  });
  server.setRequestHandler(SetLevelRequestSchema, ({ params }) => {
    state.level = params.level;
    return {};
  });
  server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    state.subscriptions.add(params.uri);
    return {};
  });
  server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    state.subscriptions.delete(params.uri);
    return {};
  });
  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: [{ uri: COUNTER_URI, name: 'counter' }] }));
  server.setRequestHandler(ReadResourceRequestSchema, () => ({ contents: [{ uri: COUNTER_URI, text: String(state.calls) }] }));
  return server;
}
