// The REST interface where nobody has a token of an issuer: the control token is asked for, although MCP clients need none.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession } from '../harness/mcp-http.ts';
import { sendRaw } from '../harness/raw-http.ts';
import { backend } from '../harness/resource.ts';
import { type Rest, restAt } from '../harness/rest.ts';
import { type RecordingUpstream, startRecordingUpstream } from '../servers/recording-upstream.ts';

let upstream: RecordingUpstream;
let gateway: Gateway;
let holder: Rest;

const LINES = [
  'GET /adapters',
  'GET /adapters/filed',
  'POST /adapters',
  'DELETE /adapters/filed',
  'GET /tenants',
  'GET /sessions',
  'POST /helm-values',
  'GET /openapi.json',
];

beforeAll(async () => {
  upstream = await startRecordingUpstream();
  gateway = await startGateway({ resources: [backend('filed', { url: upstream.url('filed') })] });
  const authorization = `Bearer ${readFileSync(join(gateway.home, 'token'), 'utf8').trim()}`;
  holder = restAt(gateway.url, { authorization });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

test('MCP clients need no token', async () => {
  expect(await (await openSession(gateway.backendUrl('filed'))).call('read')).toEqual({ calls: 1 });
});

test.each(LINES)('%s needs the control token', async (line) => {
  const body = line.startsWith('POST') ? { name: 'x', image: 'https://mcp.example.com/' } : undefined;
  for (const headers of [{}, { authorization: 'Bearer x' }, { authorization: `Bearer ${'x'.repeat(43)}` }]) {
    const answer = await restAt(gateway.url, headers as Record<string, string>)(line, { body });
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  }
});

test('who holds it is an administrator, here and at the admin address', async () => {
  for (const line of LINES.filter((each) => each.startsWith('GET'))) expect((await holder(line)).status, line).toBe(200);
  const created = await holder('POST /adapters', { body: { name: 'public', image: 'https://mcp.example.com/mcp' } });
  expect([created.status, created.json.createdBy]).toEqual([201, 'local control-token']);
  expect((await holder('DELETE /adapters/public')).status).toBe(204);
  expect((await holder('DELETE /adapters/filed')).status).toBe(409);
  const { authorization } = { authorization: `Bearer ${readFileSync(join(gateway.home, 'token'), 'utf8').trim()}` };
  expect((await restAt(gateway.admin, { authorization })('GET /adapters')).json.map(({ name }: { name: string }) => name)).toEqual([
    'filed',
  ]);
});

test.each(['http://localhost:3000', 'https://evil.example', 'null'])(
  'no web page (%s) may use it, although pages of this machine may use MCP',
  async (origin) => {
    for (const line of LINES) {
      const body = line.startsWith('POST') ? { name: 'x', image: 'https://mcp.example.com/' } : undefined;
      const answer = await holder(line, { headers: { origin }, body });
      expect([answer.status, answer.headers.get('access-control-allow-origin')], line).toEqual([403, null]);
    }
  },
);

test('nor under a name that a page has rebound to this machine', async () => {
  const authorization = `Bearer ${readFileSync(join(gateway.home, 'token'), 'utf8').trim()}`;
  const headers: [string, string][] = [
    ['Host', 'evil.example'],
    ['Authorization', authorization],
  ];
  for (const base of [gateway.url, gateway.admin]) {
    const answer = await sendRaw({ method: 'GET', url: `${base}/adapters`, headers, bare: true });
    expect(answer.status).toBe(403);
    answer.socket.destroy();
  }
});

test.each([
  'http://127.0.0.1:8081/',
  'http://localhost:8081/',
  'http://localhost./',
  'http://x.localhost/',
  'http://[::1]/',
  'http://127.1/',
  'http://0x7f000001/',
  'http://192.168.0.1/',
  'http://169.254.169.254/',
  'http://[fe80::1]/',
])('%s may not be registered', async (image) => {
  const answer = await holder('POST /adapters', { body: { name: 'x', image } });
  expect([answer.status, answer.json.code]).toEqual([403, 'forbidden']);
  expect(answer.json.detail).toContain('MCP_GATEWAY_URL_ALLOW_LIST');
});

test.each(['npm:server@1.0.0', 'pypi:server==1.0', 'ghcr.io/acme/server:1', 'exec:./x'])(
  '%s may not either, unless it is listed',
  async (image) => {
    expect((await holder('POST /adapters', { body: { name: 'x', image } })).status).toBe(403);
  },
);
