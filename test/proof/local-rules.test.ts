// What protects a gateway without tokens on somebody's laptop: Host, Origin and CORS rules.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession } from '../harness/mcp-http.ts';
import { type RawHeaders, sendRaw } from '../harness/raw-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';

const scratch = createScratch();
let gateway: Gateway;
let port: string;
const initialize = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'rules', version: '1' } },
});

beforeAll(async () => {
  const env = { COUNTER_JOURNAL: scratch.journalPath('counter') };
  gateway = await startGateway({ resources: [serverBackend('counter', 'counter-server', { env })] });
  port = new URL(gateway.url).port;
  await openSession(gateway.backendUrl('counter'));
});

afterAll(async () => {
  await gateway?.stop();
  scratch.remove();
});

const send = async (headers: RawHeaders, method = 'POST', path = '/adapters/counter/mcp') => {
  const response = await sendRaw({
    method,
    url: `${gateway.url}${path}`,
    bare: true,
    ...(method === 'POST' && { body: initialize }),
    headers: [
      ...(method === 'POST'
        ? ([
            ['Content-Type', 'application/json'],
            ['Content-Length', String(initialize.length)],
          ] as const)
        : []),
      ['Accept', 'application/json, text/event-stream'],
      ...headers,
    ],
  });
  return { response, text: (await response.body()).toString() };
};

describe('Host', () => {
  test.each(['localhost', '127.0.0.1', '[::1]', 'LOCALHOST'])('%s is fine, with and without a port', async (host) => {
    for (const value of [host, `${host}:${port}`]) expect((await send([['Host', value]])).response.status).toBe(200);
  });

  test.each(['evil.example.com', 'localhost.evil.example.com', '127.0.0.1.nip.io', '10.0.0.1', 'localhost@evil.example.com', 'gateway'])(
    '%s → 403, and nothing reaches the server',
    async (host) => {
      const before = scratch.journal('counter').length;
      for (const value of [host, `${host}:${port}`]) {
        const { response, text } = await send([['Host', value]]);
        expect([400, 403], text).toContain(response.status);
        if (!host.includes('@')) expect(response.status).toBe(403);
      }
      expect(scratch.journal('counter').length).toBe(before);
    },
  );

  test('the rule holds for health checks and unknown paths too', async () => {
    for (const path of ['/readyz', '/adapters/nobody/mcp']) {
      expect((await send([['Host', 'evil.example.com']], 'GET', path)).response.status, path).toBe(403);
    }
  });
});

describe('Origin', () => {
  const host: RawHeaders = [['Host', 'localhost']];

  test.each(['http://localhost', 'http://localhost:5173', 'http://127.0.0.1:8000', 'http://[::1]:3000'])('%s is fine', async (origin) => {
    const { response } = await send([...host, ['Origin', origin]]);
    expect(response.status).toBe(200);
    expect(response.header('access-control-allow-origin')).toBe(origin);
    expect(response.header('access-control-expose-headers')?.toLowerCase()).toContain('mcp-session-id');
  });

  test.each(['https://evil.example.com', 'null', 'http://localhost.evil.example.com', 'file://', 'http://localhost:80:80', 'garbage'])(
    '%s → 403',
    async (origin) => {
      const before = scratch.journal('counter').length;
      const { response } = await send([...host, ['Origin', origin]]);
      expect(response.status).toBe(403);
      expect(response.header('access-control-allow-origin')).toBeUndefined();
      expect(scratch.journal('counter').length).toBe(before);
    },
  );
});

describe('CORS', () => {
  const preflight: RawHeaders = [
    ['Host', 'localhost'],
    ['Access-Control-Request-Method', 'POST'],
    [
      'Access-Control-Request-Headers',
      'content-type, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name, last-event-id, authorization',
    ],
  ];

  test('a preflight from a page on this machine is answered', async () => {
    const { response } = await send([...preflight, ['Origin', 'http://localhost:6274']], 'OPTIONS');
    expect([200, 204]).toContain(response.status);
    expect(response.header('access-control-allow-origin')).toBe('http://localhost:6274');
    const headers = response.header('access-control-allow-headers')?.toLowerCase() ?? '';
    for (const name of [
      'content-type',
      'mcp-session-id',
      'mcp-protocol-version',
      'mcp-method',
      'mcp-name',
      'last-event-id',
      'authorization',
    ]) {
      expect(headers).toContain(name);
    }
    for (const method of ['GET', 'POST', 'DELETE']) expect(response.header('access-control-allow-methods')).toContain(method);
  });

  test('a preflight from elsewhere is not', async () => {
    const { response } = await send([...preflight, ['Origin', 'https://evil.example.com']], 'OPTIONS');
    expect(response.status).toBe(403);
    expect(response.header('access-control-allow-origin')).toBeUndefined();
  });
});
