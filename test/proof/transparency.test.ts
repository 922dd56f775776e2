// What passes through the gateway arrives as it was sent, byte for byte and at once, in both directions.

import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, type Session } from '../harness/mcp-http.ts';
import { type RawHeaders, type RawResponse, sendRaw } from '../harness/raw-http.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { waitFor } from '../harness/wait-for.ts';
import { CASE_HEADER, RAW_SESSION_ID, type RawAnswer, type RawUpstream, startRawUpstream } from '../servers/raw-upstream.ts';

/** Beyond every default: Envoy's stream idle time-out is 300 s, its route time-out 15 s, Node's request time-out 300 s. */
const IDLE_MS = 330_000;
const MEGABYTE = 1024 * 1024;
const JSON_TYPE = 'application/json';
const SSE_TYPE = 'text/event-stream';

let upstream: RawUpstream;
let gateway: Gateway;
let session: Session;
let idle: { readonly name: string; readonly response: Promise<RawResponse> }[];

const hash = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');
const ping = (id: unknown = 1): string => JSON.stringify({ jsonrpc: '2.0', id, method: 'ping' });

/** Sends one request of the session that the upstream answers as the case of that name. */
function send(
  name: string,
  options: { method?: string; body?: string | Buffer | readonly Buffer[]; headers?: RawHeaders; maxSilenceMs?: number } = {},
): Promise<RawResponse> {
  const { method = 'POST', body, headers = [], maxSilenceMs } = options;
  return sendRaw({
    method,
    url: gateway.backendUrl('raw'),
    ...(method === 'POST' && { body: body ?? ping() }),
    ...(maxSilenceMs !== undefined && { maxSilenceMs }),
    headers: [
      ...(method === 'POST' ? ([['Content-Type', JSON_TYPE]] as const) : []),
      ['Accept', `${JSON_TYPE}, ${SSE_TYPE}`],
      ['Mcp-Session-Id', session.id],
      ['Mcp-Protocol-Version', '2025-11-25'],
      [CASE_HEADER, name],
      ...headers,
    ],
  });
}

const answerWith =
  (status: number, headers: Record<string, string>, body: string | Buffer = ''): RawAnswer =>
  (res) =>
    void res.writeHead(status, headers).end(body);

beforeAll(async () => {
  upstream = await startRawUpstream();
  gateway = await startGateway({
    resources: [backend('raw', { url: upstream.url }), serverBackend('counter', 'counter-server')],
  });
  session = await waitFor('the backend', () => openSession(gateway.backendUrl('raw')), { timeoutMs: 30_000 });

  idle = ['POST', 'GET'].map((method) => {
    const name = `idle ${method}`;
    upstream.on(name, async (res) => {
      res.writeHead(200, { 'content-type': SSE_TYPE }).write(': open\n\n');
      // The upstream's own clock says how long the stream was idle: whoever reads what follows has lived through it.
      await new Promise<void>((resolve) => setTimeout(resolve, IDLE_MS).unref());
      res.end('data: still here\n\n');
    });
    return { name, response: send(name, { method, maxSilenceMs: IDLE_MS + 30_000 }) };
  });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

describe('request bodies', () => {
  test('of 5 MB arrive unchanged', async () => {
    upstream.on('5 MB up', answerWith(200, { 'content-type': JSON_TYPE }, '{}'));
    const body = Buffer.from(
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'x/y', params: { data: randomBytes(2.5 * MEGABYTE).toString('hex') } }),
    );
    expect(body.length).toBeGreaterThan(5 * MEGABYTE);
    const response = await send('5 MB up', { body });
    expect([response.status, (await response.body()).toString()]).toEqual([200, '{}']);
    expect(upstream.last('5 MB up').sha256).toBe(hash(body));
  });

  test.each([
    [
      'integers above 2^53 and odd white space',
      '{"jsonrpc" : "2.0",\n\t"id":9007199254740993,"method":"x/y","params":{"n":123456789012345678901234567890,"e":1e400,"z":-0.0}}\n',
    ],
    ['escapes and non-ASCII text', '{"jsonrpc":"2.0","id":"\\u0041\\/","method":"x/y","params":{"s":"äöü \\ud83d\\ude00 😀 \\u0000"}}'],
  ])('with %s arrive unchanged', async (name, body) => {
    upstream.on(name, answerWith(200, { 'content-type': JSON_TYPE }, '{}'));
    await (await send(name, { body })).body();
    expect(upstream.last(name).body.toString()).toBe(body);
  });

  test.each([
    ['a few bytes', 100],
    ['more than the Check gets', 300_000],
    ['more than any buffer', 3 * MEGABYTE],
  ])('sent in chunks arrive unchanged: %s', async (name, size) => {
    upstream.on(name, answerWith(200, { 'content-type': JSON_TYPE }, '{}'));
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'x/y', params: { data: 'x'.repeat(size) } }));
    const chunks: Buffer[] = [];
    for (let start = 0; start < body.length; start += 40_000) chunks.push(body.subarray(start, start + 40_000));
    const response = await send(name, { body: chunks });
    expect(response.status, (await response.body()).toString()).toBe(200);
    expect(upstream.last(name).sha256).toBe(hash(body));
  });
});

describe('response bodies', () => {
  test('of 5 MB arrive unchanged', async () => {
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { data: randomBytes(2.5 * MEGABYTE).toString('hex') } }));
    upstream.on('5 MB down', answerWith(200, { 'content-type': JSON_TYPE }, body));
    expect(hash(await (await send('5 MB down')).body())).toBe(hash(body));
  });

  test('with integers above 2^53 arrive unchanged', async () => {
    const body = '{"jsonrpc":"2.0","id":1,"result":{"n":9007199254740993,"m":-123456789012345678901234567890, "e":1.50e+10}}';
    upstream.on('integers down', answerWith(200, { 'content-type': `${JSON_TYPE}; charset=utf-8` }, body));
    const response = await send('integers down');
    expect([response.header('content-type'), (await response.body()).toString()]).toEqual([`${JSON_TYPE}; charset=utf-8`, body]);
  });

  test('as SSE keep comments, ids, retry, empty data and line ends', async () => {
    const events = [
      ': a comment\n\n',
      'id: 1/0\nretry: 250\ndata: \n\n',
      'id: 1/1\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"n":9007199254740993}}\n\n',
      'data: two\r\ndata:lines\r\n\r\n',
      ':\n\nid\ndata\n\n',
      'data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n',
    ];
    upstream.on('sse', (res) => {
      res.writeHead(200, { 'content-type': SSE_TYPE, 'cache-control': 'no-cache, no-transform' });
      for (const event of events) res.write(event);
      res.end();
    });
    const response = await send('sse');
    expect([response.header('content-type'), response.header('cache-control')]).toEqual([SSE_TYPE, 'no-cache, no-transform']);
    expect((await response.body()).toString()).toBe(events.join(''));
  });
});

describe('status', () => {
  test('202 stays 202, without a body', async () => {
    upstream.on('202', answerWith(202, {}));
    const response = await send('202', { body: '{"jsonrpc":"2.0","method":"notifications/x"}' });
    expect([response.status, (await response.body()).length]).toEqual([202, 0]);
  });

  test.each([400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 422, 429, 500, 501, 503])(
    '%d keeps its body and headers',
    async (status) => {
      const body = JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32000, message: `the server's own ${status}` } });
      const headers = {
        'content-type': 'application/json',
        allow: 'POST, DELETE',
        'retry-after': '7',
        'www-authenticate': 'Bearer realm="upstream", error="invalid_token", resource_metadata="https://example.com/x"',
        'x-custom': 'kept',
      };
      upstream.on(`status ${status}`, answerWith(status, headers, body));
      const response = await send(`status ${status}`);
      expect([response.status, (await response.body()).toString()]).toEqual([status, body]);
      for (const [name, value] of Object.entries(headers)) expect(response.header(name)).toBe(value);
    },
  );

  test('an upstream that breaks off before it answers: a JSON-RPC error with the id of the request', async () => {
    upstream.on('breaks off', (res) => void res.destroy());
    for (const id of [41, 'forty-one']) {
      const body = JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'echo', arguments: {} } });
      const response = await send('breaks off', { body });
      expect(response.header('content-type')).toMatch(/^application\/json/);
      expect(JSON.parse((await response.body()).toString())).toMatchObject({ jsonrpc: '2.0', id, error: { code: expect.any(Number) } });
    }
    expect(upstream.requests.filter((request) => request.case === 'breaks off')).toHaveLength(2);
  });
});

describe('headers', () => {
  test('the upstream gets no credential and no forged identity; its own session id; its own Host', async () => {
    upstream.on('headers up', answerWith(200, { 'content-type': JSON_TYPE }, '{}'));
    const response = await send('headers up', {
      headers: [
        ['Authorization', 'Bearer the-clients-own'],
        ['Cookie', 'a=b'],
        ['X-Mcp-Subject', 'root'],
        ['X-Mcp-Roles', 'admin'],
        ['X-Envoy-Original-Dst-Host', '127.0.0.1:1'],
        ['X-Custom', 'kept'],
        ['Last-Event-ID', '5/6'],
      ],
    });
    expect(response.status, (await response.body()).toString()).toBe(200);
    const { headers, rawHeaders } = upstream.last('headers up');
    expect(headers['authorization']).toBeUndefined();
    expect(headers['cookie']).toBeUndefined();
    expect(['root', 'admin']).not.toContain(headers['x-mcp-subject']);
    expect(headers['x-mcp-roles'] ?? '').not.toContain('admin');
    expect(headers).toMatchObject({
      'mcp-session-id': RAW_SESSION_ID,
      'x-custom': 'kept',
      'last-event-id': '5/6',
      'content-type': JSON_TYPE,
      'mcp-protocol-version': '2025-11-25',
      host: `127.0.0.1:${upstream.port}`,
    });
    const names = rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
    expect(names.filter((name) => name.startsWith('x-envoy-'))).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  });

  test('Host passes unchanged to a server that runs here', async () => {
    const counter = await openSession(gateway.backendUrl('counter'));
    const { headers } = (await counter.call('whoami')) as unknown as { headers: Record<string, string> };
    expect(headers['host']).toBe(new URL(gateway.url).host);
  });

  test('the client gets one session id, its own, and nothing internal', async () => {
    upstream.on(
      'headers down',
      answerWith(200, { 'content-type': JSON_TYPE, 'mcp-session-id': RAW_SESSION_ID, 'x-mcp-rebound': 'forged', etag: '"x"' }, '{}'),
    );
    const response = await send('headers down');
    await response.body();
    expect([response.header('mcp-session-id'), response.header('etag')]).toEqual([session.id, '"x"']);
    const names = response.headers.map(([name]) => name.toLowerCase());
    expect(names.filter((name) => name.startsWith('x-mcp-') || name.startsWith('x-envoy-'))).toEqual([]);
  });
});

describe('time', () => {
  test('the first event of a stream is not held back', async () => {
    upstream.on('first event', (res) => {
      res.writeHead(200, { 'content-type': SSE_TYPE }).write(`data: ${Date.now()}\n\n`);
      // Never ended: whoever waits for the end of the body waits for ever.
    });
    for (const method of ['POST', 'GET']) {
      const response = await send('first event', { method });
      const { value } = await response.chunks().next();
      const delay = (value?.at ?? Number.NaN) - Number(/data: (\d+)/.exec(value?.data.toString() ?? '')?.[1]);
      expect(delay, method).toBeLessThan(2_000);
      response.socket.destroy();
    }
  });

  test.each([
    ['before the answer', 'POST', false],
    ['in the middle of a POST stream', 'POST', true],
    ['in the middle of a GET stream', 'GET', true],
  ])('a client that goes away %s is gone for the upstream too', async (when, method, begun) => {
    upstream.on(when, (res) => {
      if (begun) res.writeHead(200, { 'content-type': SSE_TYPE }).write(': begun\n\n');
    });
    if (begun) {
      const response = await send(when, { method });
      await response.chunks().next();
      response.socket.destroy();
    } else {
      const abort = new AbortController();
      const request = fetch(session.url, {
        method,
        body: ping(),
        headers: { ...session.headers, 'content-type': JSON_TYPE, accept: JSON_TYPE, [CASE_HEADER]: when },
        signal: abort.signal,
      }).catch(() => undefined);
      await waitFor('the request to arrive', () => upstream.requests.some((received) => received.case === when));
      abort.abort();
      await request;
    }
    const wentAt = Date.now();
    expect((await upstream.last(when).aborted) - wentAt).toBeLessThan(2_000);
  });

  test('a stream whose upstream dies ends at once, as cut', async () => {
    let diedAt = 0;
    upstream.on('dies', async (res) => {
      res.writeHead(200, { 'content-type': SSE_TYPE }).write('data: last words\n\n');
      setTimeout(() => {
        diedAt = Date.now();
        res.destroy();
      }, 100);
    });
    const response = await send('dies');
    await expect(response.body()).rejects.toThrow('the connection was closed');
    // Envoy's default would hold the end back for a second.
    expect(Date.now() - diedAt).toBeLessThan(900);
  });
});

describe(`streams that are idle for ${IDLE_MS / 1000} s`, () => {
  test('live', { timeout: IDLE_MS + 60_000 }, async () => {
    const ends = await Promise.all(
      idle.map(async ({ name, response }) => {
        const stream = await response;
        const content = (await stream.body()).toString();
        return { name, content };
      }),
    );
    expect(ends).toEqual(idle.map(({ name }) => ({ name, content: ': open\n\ndata: still here\n\n' })));
  });
});
