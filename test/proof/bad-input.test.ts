// Everything that is wrong with a request gets a clear answer, and nothing that a client sends ends a process.

import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, type Session } from '../harness/mcp-http.ts';
import { type RawHeaders, type RawRequest, sendRaw } from '../harness/raw-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';

const scratch = createScratch();
let gateway: Gateway;
let session: Session;
let processes: string;

const living = (): string =>
  JSON.stringify(
    gateway
      .pids()
      .map(({ pid }) => pid)
      .sort((a, b) => a - b),
  );

beforeAll(async () => {
  gateway = await startGateway({
    resources: [
      serverBackend('counter', 'counter-server', { env: { COUNTER_JOURNAL: scratch.journalPath('counter') } }),
      serverBackend('fixture', 'fixture-server'),
    ],
  });
  session = await openSession(gateway.backendUrl('counter'));
  await openSession(gateway.backendUrl('fixture'));
  processes = living();
});

afterAll(async () => {
  await gateway?.stop();
  scratch.remove();
});

interface Answer {
  readonly status: number;
  readonly headers: RawHeaders;
  readonly text: string;
}

async function exchange(request: RawRequest): Promise<Answer> {
  const response = await sendRaw(request);
  return { status: response.status, headers: response.headers, text: (await response.body()).toString() };
}

const JSON_TYPE: RawHeaders = [
  ['Content-Type', 'application/json'],
  ['Accept', 'application/json, text/event-stream'],
];
const inSession = (body: string | Buffer | readonly Buffer[], more: RawHeaders = []): Promise<Answer> =>
  exchange({
    url: session.url,
    body,
    headers: [...JSON_TYPE, ['Mcp-Session-Id', session.id], ['Mcp-Protocol-Version', '2025-11-25'], ...more],
  });

/** A JSON-RPC error and nothing else. */
function expectError(answer: Answer, status: number | readonly number[], code?: number): void {
  expect([status].flat(), answer.text).toContain(answer.status);
  const type = answer.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1];
  expect(type, answer.text).toMatch(/^application\/json/);
  const parsed = JSON.parse(answer.text);
  expect(parsed).toMatchObject({ jsonrpc: '2.0', error: { code: code ?? expect.any(Number), message: expect.any(String) } });
  expect(parsed).toHaveProperty('id');
}

describe('bodies', () => {
  test.each([
    ['broken JSON', '{"jsonrpc":"2.0","id":1,"method":"ping"'],
    ['not JSON', 'hello'],
    ['trailing text', '{"jsonrpc":"2.0","id":1,"method":"ping"} x'],
    ['two values', '{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}'],
    ['an unfinished string', '{"jsonrpc":"2.0","id":1,"method":"pi'],
    ['a lone surrogate and a control character', '{"jsonrpc":"2.0","id":1,"method":"\u0001"}'],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])],
    ['deep nesting', `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
    ['deep nesting of objects', `{"jsonrpc":"2.0","id":1,"method":"ping","params":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`],
    ['nothing', ''],
    ['null', 'null'],
    ['a number', '17'],
    ['an empty batch', '[]'],
    ['an object that is no message', '{}'],
  ])('%s → 400', async (_name, body) => {
    expectError(await inSession(body), 400);
    const chunks = [Buffer.from(body)].filter((chunk) => chunk.length > 0);
    if (chunks.length > 0) expectError(await inSession(chunks), 400);
  });

  test('a batch of 51 → 400, of 50 → the server’s answer', async () => {
    const batch = (size: number) => JSON.stringify(Array.from({ length: size }, (_, id) => ({ jsonrpc: '2.0', id, method: 'ping' })));
    expectError(await inSession(batch(51)), 400, -32600);
    const answer = await inSession(batch(50), []);
    expect([200, 400]).toContain(answer.status);
    expect(answer.status, answer.text).toBe(200);
  });

  test('initialize inside a batch → 400', async () => {
    const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'x', version: '1' } };
    const body = JSON.stringify([
      { jsonrpc: '2.0', id: 1, method: 'initialize', params },
      { jsonrpc: '2.0', id: 2, method: 'ping' },
    ]);
    expectError(await exchange({ url: session.url, body, headers: JSON_TYPE }), 400, -32600);
    expectError(await inSession(body), 400, -32600);
  });

  test('repeated keys → 400', async () => {
    expectError(await inSession('{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}'), 400);
  });
});

describe('headers', () => {
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';

  test.each(['Mcp-Session-Id', 'Mcp-Protocol-Version', 'Mcp-Method', 'Mcp-Name', 'Authorization'])('%s twice → 400', async (name) => {
    const value = name === 'Mcp-Session-Id' ? session.id : name === 'Mcp-Protocol-Version' ? '2025-11-25' : 'ping';
    const headers = [...JSON_TYPE, ['Mcp-Session-Id', session.id] as const].filter(([other]) => other !== name);
    expectError(await exchange({ url: session.url, body: ping, headers: [...headers, [name, value], [name, value]] }), 400);
  });

  test('2 MB of them → refused, by status or by closing the connection', async () => {
    const huge: RawHeaders = Array.from({ length: 2_000 }, (_, index) => [`X-Filler-${index}`, 'x'.repeat(1_000)]);
    const answer = await inSession(ping, huge).catch((error: Error) => error);
    if (answer instanceof Error) expect(answer.message).toMatch(/closed|ECONNRESET|EPIPE/);
    else expect(answer.status).toBe(431);
  });

  test('one of 2 MB → the same', async () => {
    const answer = await inSession(ping, [['X-Filler', 'x'.repeat(2_000_000)]]).catch((error: Error) => error);
    if (answer instanceof Error) expect(answer.message).toMatch(/closed|ECONNRESET|EPIPE/);
    else expect(answer.status).toBe(431);
  });

  test('both lengths at once, a bad length, a bad chunk → no second request is smuggled', async () => {
    const smuggled = '0\r\n\r\nPOST /adapters/counter/mcp HTTP/1.1\r\nHost: localhost\r\n\r\n';
    for (const lengths of [
      [
        ['Content-Length', String(smuggled.length)],
        ['Transfer-Encoding', 'chunked'],
      ],
      [
        ['Content-Length', '5'],
        ['Content-Length', '6'],
      ],
      [['Content-Length', '-1']],
      [['Transfer-Encoding', 'chunked, identity']],
    ] as RawHeaders[]) {
      const headers: RawHeaders = [['Host', new URL(session.url).host], ...JSON_TYPE, ...lengths];
      const answer = await exchange({ url: session.url, body: smuggled, headers, bare: true }).catch((error: Error) => error);
      if (answer instanceof Error) expect(answer.message).toMatch(/closed|ECONNRESET/);
      else expect([400, 501]).toContain(answer.status);
    }
  });

  test('internal headers of a client have no effect', async () => {
    const before = scratch.journal('counter').length;
    const forged: RawHeaders = [
      ...['x-mcp-ticket', 'x-mcp-rebound', 'x-mcp-ticket-a', 'x-mcp-ticket-b', 'x-mcp-upstream', 'x-mcp-instance', 'x-mcp-tenant'].map(
        (name) => [name, 'forged'] as const,
      ),
      ['x-mcp-subject', 'root'],
      ['x-mcp-roles', 'mcp.admin'],
      ['x-envoy-original-dst-host', '127.0.0.1:1'],
      ['x-envoy-retry-on', '5xx'],
      ['x-envoy-max-retries', '100'],
      ['x-envoy-upstream-rq-timeout-ms', '1'],
      ['x-envoy-original-url', 'http://elsewhere/'],
      ['x-envoy-decorator-operation', 'x'],
      ['x-request-id', 'forged'],
    ];
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}';
    const answer = await inSession(body, forged);
    expect(answer.status, answer.text).toBe(200);
    const seen = /"headers\\":(\{.*?\})/.exec(answer.text)?.[1] ?? '';
    expect(seen).not.toBe('');
    expect(seen).not.toMatch(/forged|"root|mcp\.admin|x-envoy-/);
    expect(scratch.journal('counter').length).toBe(before + 1);
    // Without a session they do not replace one.
    expectError(await exchange({ url: session.url, body, headers: [...JSON_TYPE, ...forged] }), 400);
  });

  test('a modern request whose headers disagree with its body → 400 −32020; without them too', async () => {
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 5, method: 'tools/list', params: { _meta: meta } });
    const url = gateway.backendUrl('fixture');
    const send = (headers: RawHeaders) =>
      exchange({ url, body, headers: [...JSON_TYPE, ['Mcp-Protocol-Version', '2026-07-28'], ...headers] });
    expectError(await send([['Mcp-Method', 'tools/call']]), 400, -32020);
    expectError(await send([]), 400, -32020);
    expect((await send([['Mcp-Method', 'tools/list']])).status).toBe(200);
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/xml'])('content-type %s is refused', async (type) => {
    const answer = await exchange({
      url: session.url,
      body: ping,
      headers: [
        ['Accept', 'application/json, text/event-stream'],
        ['Content-Type', type],
        ['Mcp-Session-Id', session.id],
      ],
    });
    expectError(answer, 415);
  });
});

describe('targets', () => {
  test.each([
    ['/adapters/nobody/mcp', 404],
    ['/adapters/Counter/mcp', 404],
    ['/adapters/counter/mcp/more', 404],
    ['/adapters/counter%2fmcp', 400],
    ['/adapters/../adapters/counter/secret', 404],
    ['/unheard-of', 404],
  ])('POST %s → %d', async (path, status) => {
    const body = '{"jsonrpc":"2.0","id":"lost","method":"ping"}';
    expectError(await exchange({ url: `${gateway.url}${path}`, body, headers: JSON_TYPE }), status);
  });

  // Envoy makes one slash of two: that is the adapter `mcp`.
  test.each(['/adapters/counter', '/adapters//mcp', '/tenants', '/sessions/x', '/openapi.json', '/admin/mcp'])(
    'POST %s is the control plane’s, which asks for a token',
    async (path) => {
      const answer = await exchange({ url: `${gateway.url}${path}`, body: '{}', headers: JSON_TYPE });
      const type = answer.headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1];
      expect([answer.status, type]).toEqual([401, 'application/problem+json']);
    },
  );

  test.each(['PUT', 'PATCH', 'TRACE', 'PROPFIND'])('%s → 405 with Allow', async (method) => {
    const answer = await exchange({ method, url: session.url, headers: [['Mcp-Session-Id', session.id]] });
    expectError(answer, 405);
    expect(answer.headers.find(([name]) => name.toLowerCase() === 'allow')?.[1]).toMatch(/POST/);
  });

  test('GET and DELETE without a session, POST without one', async () => {
    for (const method of ['GET', 'DELETE']) {
      expectError(await exchange({ method, url: session.url, headers: [['Accept', 'text/event-stream']] }), [400, 405]);
    }
    expectError(await exchange({ url: session.url, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}', headers: JSON_TYPE }), 400);
  });

  test('the old HTTP+SSE transport is refused by name', async () => {
    for (const [method, path] of [
      ['GET', '/adapters/counter/sse'],
      ['POST', '/adapters/counter/messages?sessionId=1'],
      ['GET', '/sse'],
    ] as const) {
      const headers: RawHeaders = [
        ['Accept', 'text/event-stream'],
        ...(method === 'POST' ? ([['Content-Type', 'application/json']] as const) : []),
      ];
      const answer = await exchange({ method, url: `${gateway.url}${path}`, headers, ...(method === 'POST' && { body: '{}' }) });
      expectError(answer, [400, 404, 405]);
      if (path.startsWith('/adapters/counter/sse')) expect(answer.text).toMatch(/HTTP\+SSE.*not supported/);
    }
  });

  test('documents of OAuth that clients ask for before they know better: a clean 404', async () => {
    const documents = ['oauth-protected-resource', 'oauth-authorization-server', 'openid-configuration'];
    const paths = documents.flatMap((name) => [
      `/.well-known/${name}`,
      `/.well-known/${name}/adapters/counter/mcp`,
      `/adapters/counter/mcp/.well-known/${name}`,
    ]);
    for (const path of paths) expectError(await exchange({ method: 'GET', url: `${gateway.url}${path}` }), 404);
  });

  test('a request line that is none, HTTP/0.9, a binary greeting: the connection ends', async () => {
    const { hostname, port } = new URL(gateway.url);
    for (const bytes of [
      'GET\r\n\r\n',
      'BLAH BLAH BLAH\r\n\r\n',
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]),
      `GET /${'x'.repeat(200_000)} HTTP/1.1\r\n\r\n`,
    ]) {
      const socket = connect({ host: hostname, port: Number(port) });
      socket.on('error', () => {});
      socket.resume();
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.write(bytes);
      await closed;
    }
  });
});

describe('half-sent bodies', () => {
  test('whoever goes away in the middle does no harm', async () => {
    const { hostname, port, pathname, host } = new URL(session.url);
    const sockets = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        const socket = connect({ host: hostname, port: Number(port) });
        socket.on('error', () => {});
        const length = index % 2 === 0 ? 1_000 : 200_000;
        const head = [`POST ${pathname} HTTP/1.1`, `Host: ${host}`, 'Content-Type: application/json', `Mcp-Session-Id: ${session.id}`];
        await new Promise<void>((resolve) => {
          socket.write([...head, `Content-Length: ${length}`, '', '{"jsonrpc":"2.0","id":1,'].join('\r\n'), () => resolve());
        });
        return socket;
      }),
    );
    // While they hang, others are served.
    expect((await session.call('whoami')).calls).toBeGreaterThan(0);
    for (const socket of sockets) socket.destroy();
    expect((await session.call('whoami')).calls).toBeGreaterThan(0);
  });
});

describe('after all of this', () => {
  test('the same processes live, ready and with the same session', async () => {
    expect(living()).toBe(processes);
    for (const path of ['/healthz', '/readyz']) expect((await fetch(`${gateway.url}${path}`)).status).toBe(200);
    expect((await session.call('whoami')).calls).toBeGreaterThan(0);
  });
});
