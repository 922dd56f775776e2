// A small MCP server inside the test's own process: it keeps every request with its headers, and can forget its sessions.

import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readBody } from './request-body.ts';

export interface Recorded {
  readonly path: string;
  readonly method: string;
  /** The JSON-RPC method; empty without a body. */
  readonly rpc: string;
  readonly status: number;
  /** All values of a header, as sent. */
  values(header: string): string[];
}

export interface RecordingUpstream {
  /** Where one of any number of servers listens; they differ in their path only. */
  url(name: string): string;
  /** Requests to that server, probes included. */
  requests(name: string): Recorded[];
  /** As a restarted server does. */
  forgetSessions(): void;
  stop(): Promise<void>;
}

const TOOLS = [
  { name: 'read', inputSchema: { type: 'object' }, annotations: { readOnlyHint: true } },
  { name: 'delete', inputSchema: { type: 'object' } },
];

export async function startRecordingUpstream(): Promise<RecordingUpstream> {
  const sessions = new Set<string>();
  const recorded: Recorded[] = [];

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = (await readBody(request)).toString();
    const message = (body === '' ? {} : JSON.parse(body)) as { id?: unknown; method?: string };
    const session = String(request.headers['mcp-session-id'] ?? '');
    const reply = (status: number, result?: unknown, headers: Record<string, string> = {}): void => {
      recorded.push({
        ...{ path: request.url ?? '', method: request.method ?? '', rpc: message.method ?? '', status },
        values: (header) => request.rawHeaders.filter((_, at, all) => at % 2 === 1 && all[at - 1]?.toLowerCase() === header),
      });
      if (result === undefined) return void response.writeHead(status, headers).end();
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
    };
    if (message.method === 'initialize') {
      const id = randomUUID();
      sessions.add(id);
      const serverInfo = { name: 'recording', version: '1' };
      reply(200, { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo }, { 'mcp-session-id': id });
    } else if (session !== '' && !sessions.has(session)) reply(404);
    else if (request.method === 'DELETE') reply(sessions.delete(session) ? 200 : 404);
    else if (request.method === 'GET') reply(405);
    else if (message.id === undefined) reply(202);
    else if (message.method === 'tools/list') reply(200, { tools: TOOLS });
    else if (message.method === 'tools/call') reply(200, { content: [{ type: 'text', text: '{"calls":1}' }] });
    else reply(200, {});
  };

  const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: (name) => `http://127.0.0.1:${port}/${name}`,
    requests: (name) => recorded.filter(({ path }) => path === `/${name}`),
    forgetSessions: () => sessions.clear(),
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
