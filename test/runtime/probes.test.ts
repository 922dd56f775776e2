// Health questions in MCP: to servers of both eras, leaving no session behind, and to servers that are not well.

import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer as LegacyServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { afterEach, describe, expect, it } from 'vitest';
import { createProbe } from '../../src/runtime/local/probe.ts';

const never = new AbortController().signal;
const settings = { healthCheck: { type: 'mcp' as const }, path: '/mcp' };

let server: Server | undefined;
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server?.listening === true ? server.close(resolve) : resolve(undefined)));
});

async function serve(handler: (request: IncomingMessage, response: ServerResponse) => void) {
  server = createServer(handler);
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, remote: undefined };
}

describe('a healthy server', () => {
  it.each([true, false])('of the legacy era has no session left afterwards (JSON answers: %s)', async (enableJsonResponse) => {
    const sessions = new Map<string, StreamableHTTPServerTransport>();
    let made = 0;
    const target = await serve(async (request, response) => {
      const known = sessions.get(String(request.headers['mcp-session-id']));
      if (known !== undefined) {
        await known.handleRequest(request, response);
        return;
      }
      const transport = new StreamableHTTPServerTransport({
        enableJsonResponse,
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => {
          made += 1;
          sessions.set(id, transport);
        },
        onsessionclosed: (id) => void sessions.delete(id),
      });
      await new LegacyServer({ name: 'x', version: '1' }).connect(transport as Parameters<LegacyServer['connect']>[0]);
      await transport.handleRequest(request, response);
    });
    const probe = createProbe();
    expect([await probe(settings, target, never), await probe(settings, target, never)]).toEqual([{ ok: true }, { ok: true }]);
    expect([made, sessions.size]).toEqual([2, 0]);
  });

  it('of the modern era only is asked to discover, and the next time at once', async () => {
    const handle = toNodeHandler(createMcpHandler(() => new McpServer({ name: 'x', version: '1' }), { legacy: 'reject' }));
    const methods: (string | undefined)[] = [];
    const target = await serve((request, response) => {
      methods.push(request.headers['mcp-method'] as string | undefined);
      void handle(request as Parameters<typeof handle>[0], response);
    });
    const probe = createProbe();
    expect([await probe(settings, target, never), await probe(settings, target, never)]).toEqual([{ ok: true }, { ok: true }]);
    expect(methods).toEqual([undefined, 'server/discover', 'server/discover']);
  });

  it('may keep the stream of its answer open', async () => {
    const target = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(
        ': hello\r\n\r\nid: 1\r\ndata: \r\n\r\nevent: message\r\ndata: {"jsonrpc":"2.0",\r\ndata: "id":"mcp-gateway-probe","result":{}}\r\n\r\n',
      );
    });
    expect(await createProbe()(settings, target, never)).toEqual({ ok: true });
  });
});

describe('a server that is not well', () => {
  it.each([
    ['refuses', 401, 'application/json', '{}', 'initialize answered 401'],
    ['fails', 500, 'text/plain', 'oh', 'initialize answered 500'],
    ['answers something else', 200, 'text/html', '<p>', 'initialize answered 200 without a JSON-RPC response'],
    [
      'answers an error',
      200,
      'application/json',
      '{"jsonrpc":"2.0","id":"mcp-gateway-probe","error":{"code":1,"message":"sick"}}',
      'initialize answered with an error: sick',
    ],
  ])('because it %s says so', async (_, status, type, body, reason) => {
    const target = await serve((__, response) => response.writeHead(status, { 'content-type': type }).end(body));
    expect(await createProbe()(settings, target, never)).toEqual({ ok: false, reason });
  });

  it('because it cuts the connection, or is not there, says so', async () => {
    const target = await serve((request) => request.socket.destroy());
    expect(await createProbe()(settings, target, never)).toEqual({ ok: false, reason: 'ECONNRESET' });
    await new Promise((resolve) => server?.close(resolve));
    expect(await createProbe()({ healthCheck: undefined, path: '/mcp' }, target, never)).toEqual({ ok: false, reason: 'ECONNREFUSED' });
  });

  it('because it never answers is given up in time, and at once when nobody wants to know any more', async () => {
    const target = await serve(() => undefined);
    const stop = new AbortController();
    const begin = performance.now();
    const [late, stopped] = await Promise.all([
      createProbe()({ healthCheck: { path: '/x' }, path: '/mcp' }, target, never),
      createProbe()(settings, target, stop.signal).then((result) => [result, performance.now() - begin] as const),
      Promise.resolve().then(() => stop.abort()),
    ]);
    expect(late).toEqual({ ok: false, reason: 'no answer within 3000 ms' });
    expect(stopped[0]).toEqual({ ok: false, reason: 'stopped' });
    // Before the probe gives up by itself.
    expect(stopped[1]).toBeLessThan(2500);
  });

  it('because it answers without end is not read without end', async () => {
    const target = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const chunk = Buffer.alloc(65_536, 0x20);
      const pump = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', pump);
      pump();
    });
    expect(await createProbe()(settings, target, never)).toEqual({
      ok: false,
      reason: 'initialize answered 200 without a JSON-RPC response',
    });
  });
});
