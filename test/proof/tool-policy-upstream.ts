// A server with known bytes for the proofs of tool policy: lists in every shape, the specification's words for an unknown tool, and a record of who was called.

import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readBody } from '../servers/request-body.ts';

export const TOOLS = ['read_file', 'read_secret', 'write_file', 'write_secret', 'delete_file', 'admin', 'Read_file', 'read_'] as const;
/** What each tenant allows, and what is left of the tools of a backend with rules of its own, and of one without. */
export const RULES = {
  open: { tools: undefined, ruled: ['read_file', 'write_file', 'delete_file', 'read_'], plain: TOOLS },
  narrow: { tools: { allow: ['read_*', 'admin'] }, ruled: ['read_file', 'read_'], plain: ['read_file', 'read_secret', 'admin', 'read_'] },
  cautious: {
    tools: { deny: ['delete_*', 'write_*'] },
    ruled: ['read_file', 'read_'],
    plain: ['read_file', 'read_secret', 'admin', 'Read_file', 'read_'],
  },
  torn: { tools: { allow: ['read_file', 'admin'], deny: ['*file'] }, ruled: [], plain: ['admin'] },
  exact: { tools: { allow: ['read_file'] }, ruled: ['read_file'], plain: ['read_file'] },
  middle: {
    tools: { allow: ['*_f*e', '*e*e*'] },
    ruled: ['read_file', 'write_file', 'delete_file'],
    plain: TOOLS.slice(0, 5).concat('Read_file'),
  },
} as const;
/** Answers that are no list of tools, or could be read in two ways. */
export const ODD_LISTS: Readonly<Record<string, readonly [type: string, body: string]>> = {
  'no-json': ['application/json', '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_secret"}'],
  'no-array': ['application/json', '{"jsonrpc":"2.0","id":1,"result":{"tools":{"0":{"name":"read_secret"}}}}'],
  'no-name': ['application/json', '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"title":"read_secret"}]}}'],
  'two-lists': ['application/json', '{"jsonrpc":"2.0","id":1,"result":{"tools":[]},"result":{"tools":[{"name":"read_secret"}]}}'],
  'two-names': ['application/json', '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"read_file","name":"read_secret"}]}}'],
  'odd-stream': ['text/event-stream', 'data: {"result":{"tools":[{"name":"read_secret"\n\n'],
  html: ['text/html', '<p>read_secret</p>'],
};

interface Recorded {
  readonly rpc: string;
  readonly headers: IncomingHttpHeaders;
}

export interface PolicyUpstream {
  /** `json`, `stream`, `large` or one of the odd ones. */
  url(path: string): string;
  /** Names of the tools that were really called since the last look. */
  called(): string[];
  lastList(): Recorded;
  stop(): Promise<void>;
}

const tool = (name: string): string => `{ "name":"${name}", "inputSchema":{"type":"object"},"x":9007199254740993 }`;

/** The list to the byte, as the server writes it and as what is left of it must look. */
export function listText(id: string, names: readonly string[], cacheScope = 'public'): string {
  const tools = names.map(tool).join(' ,\n');
  return `{"jsonrpc":"2.0","id":${id},"result":{"tools":[${tools}],"nextCursor":"page 2","cacheScope":"${cacheScope}","ttlMs":1e3}}`;
}

/** The same as an event stream, with everything else that a stream may hold. */
export function streamText(id: string, names: readonly string[], cacheScope = 'public'): string {
  const notification = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"read_secret"}}';
  const list = listText(id, names, cacheScope).split('\n');
  return `: hello\n\nid: 7\nevent: message\ndata: ${notification}\n\nretry: 500\nid: 8\nevent: message\n${list.map((line) => `data: ${line}`).join('\n')}\n\n`;
}

/** More than a gRPC message usually holds. */
export const LARGE = Array.from({ length: 2_000 }, (_, index) => `${index % 2 === 0 ? 'read' : 'hide'}_${index}_${'x'.repeat(2_000)}`);

export async function startPolicyUpstream(): Promise<PolicyUpstream> {
  let calls: string[] = [];
  const recorded: Recorded[] = [];

  const server = createServer(async (request, response) => {
    const text = (await readBody(request)).toString();
    const path = (request.url ?? '').slice(1);
    const send = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
    };
    if (path === 'healthz') return void response.end('ok');
    if (request.method !== 'POST') return void response.writeHead(request.method === 'DELETE' ? 200 : 405).end();
    const body = JSON.parse(text) as Message | Message[];
    for (const { method, params } of [body].flat()) if (method === 'tools/call') calls.push(String(params?.name));
    if (Array.isArray(body)) return send(200, 'application/json', '[]');
    const { method, params } = body;
    // The id as it is written.
    const id = /"id":("[^"]*"|[^,}]*)/.exec(text)?.[1] ?? 'null';
    recorded.push({ rpc: method, headers: request.headers });
    if (body.id === undefined) return void response.writeHead(202).end();
    if (method === 'initialize') {
      response.setHeader('mcp-session-id', 'policy-session');
      const info = '"capabilities":{"tools":{}},"serverInfo":{"name":"policy","version":"1"}';
      return send(200, 'application/json', `{"jsonrpc":"2.0","id":${id},"result":{"protocolVersion":"2025-11-25",${info}}}`);
    }
    if (method === 'tools/list') {
      const odd = ODD_LISTS[path];
      if (odd) return send(200, ...odd);
      if (path === 'stream') return send(200, 'text/event-stream', streamText(id, TOOLS));
      return send(200, 'application/json', listText(id, path === 'large' ? LARGE : TOOLS));
    }
    if (method === 'tools/call' && !(TOOLS as readonly string[]).includes(params?.name ?? '')) {
      return send(
        200,
        'application/json',
        `{"jsonrpc":"2.0","id":${id},"error":{"code":-32602,"message":"Unknown tool: ${params?.name}"}}`,
      );
    }
    send(200, 'application/json', `{"jsonrpc":"2.0","id":${id},"result":{"content":[]}}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: (path) => `http://127.0.0.1:${port}/${path}`,
    called() {
      const seen = calls;
      calls = [];
      return seen;
    },
    lastList() {
      const found = recorded.findLast(({ rpc }) => rpc === 'tools/list');
      if (!found) throw new Error('nobody asked for the list');
      return found;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Message {
  readonly id?: unknown;
  readonly method: string;
  readonly params?: { readonly name?: string };
}
