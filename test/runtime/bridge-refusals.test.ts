// What the bridge refuses, compared with the reference server: the same request, status, code and words.

import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBridgeWorld } from './bridge-world.ts';

interface Exchange {
  readonly method: string;
  readonly session?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

const GOOD = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
});

/** The reference: one SDK transport, whose session is the only one there is. */
async function startReference(): Promise<Server> {
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID });
  await new McpServer({ name: 'reference', version: '1' }).connect(transport as Parameters<McpServer['connect']>[0]);
  const server = createServer((request, response) => void transport.handleRequest(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

let world: Awaited<ReturnType<typeof createBridgeWorld>>;
let reference: Server;
let urls: { bridge: string; reference: string };
let sessions: { bridge: string; reference: string };
beforeAll(async () => {
  world = await createBridgeWorld();
  reference = await startReference();
  urls = {
    bridge: `http://127.0.0.1:${world.bridge.port}/mcp`,
    reference: `http://127.0.0.1:${(reference.address() as AddressInfo).port}/mcp`,
  };
  const open = async (url: string): Promise<string> => {
    const response = await fetch(url, { method: 'POST', headers: GOOD, body: INITIALIZE });
    await response.text();
    return response.headers.get('mcp-session-id') as string;
  };
  sessions = { bridge: await open(urls.bridge), reference: await open(urls.reference) };
});
afterAll(async () => {
  await world.close();
  reference.closeAllConnections();
  reference.close();
});

async function exchange(to: 'bridge' | 'reference', { method, session, headers = {}, body }: Exchange) {
  const own = session === 'own' ? { 'mcp-session-id': sessions[to] } : session === undefined ? {} : { 'mcp-session-id': session };
  const response = await fetch(urls[to], { method, headers: { ...headers, ...own }, ...(body === undefined ? {} : { body }) });
  const { error } = JSON.parse(await response.text()) as { error: { code: number; message: string } };
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    allow: response.headers.get('allow'),
    code: error.code,
    message: error.message,
  };
}

const same: readonly [string, Exchange, number][] = [
  ['unknown session', { method: 'POST', session: 'nope', headers: GOOD, body: PING }, 404],
  ['no session', { method: 'POST', headers: GOOD, body: PING }, 400],
  ['GET of an unknown session', { method: 'GET', session: 'nope', headers: { accept: 'text/event-stream' } }, 404],
  ['GET without session', { method: 'GET', headers: { accept: 'text/event-stream' } }, 400],
  ['GET that does not accept events', { method: 'GET', session: 'own', headers: { accept: 'application/json' } }, 406],
  ['DELETE of an unknown session', { method: 'DELETE', session: 'nope' }, 404],
  ['DELETE without session', { method: 'DELETE' }, 400],
  ['POST that accepts only JSON', { method: 'POST', session: 'own', headers: { ...GOOD, accept: 'application/json' }, body: PING }, 406],
  ['POST of text', { method: 'POST', session: 'own', headers: { ...GOOD, 'content-type': 'text/plain' }, body: PING }, 415],
  [
    'a type that only begins like JSON',
    { method: 'POST', session: 'own', headers: { ...GOOD, 'content-type': 'application/json-patch' }, body: PING },
    415,
  ],
  ['broken JSON', { method: 'POST', session: 'own', headers: GOOD, body: '{' }, 400],
  ['JSON that is no message', { method: 'POST', session: 'own', headers: GOOD, body: '{"jsonrpc":"2.0"}' }, 400],
  ['an unknown version', { method: 'POST', session: 'own', headers: { ...GOOD, 'mcp-protocol-version': '2020-01-01' }, body: PING }, 400],
  ['initialize in a session', { method: 'POST', session: 'own', headers: GOOD, body: INITIALIZE }, 400],
  ['initialize in a batch', { method: 'POST', headers: GOOD, body: `[${INITIALIZE},${PING}]` }, 400],
  ['another method', { method: 'PUT', session: 'own' }, 405],
];

describe('the bridge answers as the reference server does to', () => {
  it.each(same)('%s', async (name, request, status) => {
    const [ours, theirs] = await Promise.all([exchange('bridge', request), exchange('reference', request)]);
    expect(ours.status).toBe(status);
    // The reference has one session only, so a second initialize fails there for another reason.
    expect(name === 'initialize in a batch' ? { ...ours, message: '' } : ours).toEqual(
      name === 'initialize in a batch' ? { ...theirs, message: '' } : theirs,
    );
  });

  it('a media type with parameters and in capitals', async () => {
    const response = await fetch(urls.bridge, {
      method: 'POST',
      headers: { ...GOOD, 'content-type': 'Application/JSON; charset="UTF-8"', 'mcp-session-id': sessions.bridge },
      body: PING,
    });
    expect(response.status).toBe(200);
    await response.text();
  });
});

describe('the bridge', () => {
  it('sends clients of the modern era back to initialize, echoing their id', async () => {
    const headers = { ...GOOD, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'server/discover' };
    const response = await fetch(urls.bridge, {
      method: 'POST',
      headers,
      body: '{"jsonrpc":"2.0","id":9007199254740993,"method":"server/discover","params":{}}',
    });
    expect(response.status).toBe(400);
    expect(await response.text()).toBe(
      '{"jsonrpc":"2.0","id":9007199254740993,"error":{"code":-32000,"message":"Bad Request: Unsupported protocol version: 2026-07-28 (supported versions: 2025-11-25, 2025-06-18, 2025-03-26, 2024-11-05, 2024-10-07)"}}',
    );
  });

  it.each([
    ['gzip', { 'content-encoding': 'gzip' }],
    ['UTF-16', { 'content-type': 'application/json; charset=utf-16' }],
  ])('does not read %s', async (_, more) => {
    expect((await exchange('bridge', { method: 'POST', session: 'own', headers: { ...GOOD, ...more }, body: PING })).status).toBe(415);
  });

  it('refuses bytes that are not UTF-8', async () => {
    const body = Buffer.concat([Buffer.from('{"jsonrpc":"2.0","id":1,"method":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    const answer = await world.post(body, { 'mcp-session-id': sessions.bridge });
    expect(answer).toMatchObject({
      status: 400,
      text: '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error: Invalid JSON"}}',
    });
  });

  it('has a health path and no other paths', async () => {
    expect(await world.ask('GET', { path: '/healthz' })).toMatchObject({ status: 200, text: 'ok\n' });
    expect((await world.ask('GET', { path: '/' })).status).toBe(404);
    expect((await world.ask('POST', { path: '/mcp/x', body: PING, headers: GOOD })).status).toBe(404);
  });
});
