// The control routes over a real socket: who gets in, what is taken, and what everything else is told.

import { request } from 'node:http';
import { connect } from 'node:net';
import { pino } from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { type AdminServer, startAdminServer } from '../../src/api/admin-server.ts';
import { createRest } from '../../src/api/rest.ts';
import { parseResourceText } from '../../src/config/resource-files.ts';
import type { BackendResource } from '../../src/config/resources.ts';
import { createBackendControl } from '../../src/control/backends.ts';
import { createSessionControl } from '../../src/control/sessions.ts';
import { createTenantControl } from '../../src/control/tenants.ts';
import type { SessionKey } from '../../src/core/ids.ts';
import { createDirectory } from '../../src/directory/directory.ts';
import { tenantWindows } from '../../src/gateway/claim.ts';
import { createMemoryStore } from '../../src/session/memory-store.ts';
import type { SessionRecord, SessionStore } from '../../src/session/store.ts';
import { quotaOf, tenantPolicyOf } from '../fakes/callers.ts';
import { memoryRegistry } from '../fakes/control.ts';
import { notedLimits } from '../fakes/limits.ts';
import { recordOf, sessionKey } from '../fakes/sessions.ts';

const TOKEN = 'abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNO_';
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };

const declared = parseResourceText(
  '{apiVersion: mcpgateway.dev/v1alpha1, kind: MCPBackend, metadata: {name: one}, spec: {image: "exec:./x"}}',
  '/r/one.yaml',
).resources[0] as BackendResource;

let server: AdminServer | undefined;
afterEach(() => server?.close());

async function start({ records = [recordOf()], over = {} }: { records?: SessionRecord[]; over?: Partial<SessionStore> } = {}) {
  const store = createMemoryStore({ initial: records });
  const directory = createDirectory();
  directory.putTenants([tenantPolicyOf({ name: 'red', quotas: [quotaOf()] })]);
  const registry = memoryRegistry();
  server = await startAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    metrics: async () => ({ contentType: 'text/plain', text: 'a 1\n' }),
    status: () => ({}),
    ready: () => true,
    token: TOKEN,
    log: pino({ level: 'silent' }),
    rest: createRest({
      sessions: createSessionControl({ store: { ...store, ...over }, freeing: { free() {} }, audit() {} }),
      tenants: createTenantControl({
        directory,
        declared: () => [],
        registry,
        limits: notedLimits(),
        windowsOf: tenantWindows,
        audit() {},
      }),
      backends: createBackendControl({
        declared: () => [declared],
        registry,
        imagePolicy: () => undefined,
        urlRefusal: () => undefined,
        status: () => [],
        countByInstance: async () => new Map(),
        baseUrl: () => 'http://localhost',
        restart: (name) => (name === 'one' ? 'restarting' : 'unknown'),
        endSessionsOn: async () => {},
        audit() {},
      }),
      values: { make: () => ({ values: '', command: '', secrets: [], notes: [] }) },
    }),
  });
  const open = async (): Promise<SessionKey[]> => (await store.list({ limit: 100 })).map(({ key }) => key);
  return { store, open };
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly json: unknown;
}

interface AskOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** `line` is `DELETE /sessions`. */
function ask(line: string, { headers = AUTHORIZED, body }: AskOptions = {}): Promise<Answer> {
  const [method = '', path = ''] = line.split(' ');
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port: server?.address.port,
      method,
      path,
      headers: { host: 'localhost', ...headers },
      agent: false,
    };
    request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, json: JSON.parse(text) }));
    })
      .on('error', reject)
      .end(body);
  });
}

const problem = (status: number, detail: unknown = expect.any(String)) => ({
  status,
  headers: expect.objectContaining({ 'content-type': 'application/problem+json' }),
  json: expect.objectContaining({ type: 'about:blank', title: expect.any(String), status, detail }),
});

const ROUTES = [
  'GET /sessions',
  'DELETE /sessions?issuer=local&subject=local',
  `DELETE /sessions/${sessionKey('a')}`,
  'GET /tenants',
  'GET /tenants/red',
  'GET /adapters',
  'GET /adapters/one',
  'GET /adapters/one/status',
  'POST /adapters/one/restart',
];

describe('who gets in', () => {
  test.each(ROUTES)('%s: only with the token', async (line) => {
    const { open } = await start();
    const wrong = [{}, { authorization: 'Bearer x' }, { authorization: `Basic ${TOKEN}` }, { authorization: `Bearer ${TOKEN}x` }];
    for (const headers of wrong) {
      const answer = await ask(line, { headers });
      expect(answer).toEqual(problem(401));
      expect(answer.headers['www-authenticate']).toBe('Bearer');
    }
    expect(await open()).toHaveLength(1);
    expect((await ask(line)).status).toBe(line.startsWith('POST') ? 202 : 200);
  });

  test.each(ROUTES)('%s: no web page, not even one of this machine that has the token', async (line) => {
    const { open } = await start();
    for (const origin of ['https://evil.example', 'http://localhost:8081', 'null']) {
      const answer = await ask(line, { headers: { ...AUTHORIZED, origin } });
      expect(answer).toEqual(problem(403));
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
    }
    expect((await ask(line, { headers: { ...AUTHORIZED, host: 'rebound.example' } })).status).toBe(403);
    expect(await open()).toHaveLength(1);
  });

  test('a preflight is refused', async () => {
    await start();
    const headers = { origin: 'https://evil.example', 'access-control-request-method': 'DELETE' };
    expect(await ask('OPTIONS /sessions', { headers })).toEqual(problem(403));
  });

  test('without the token nobody learns which paths there are', async () => {
    await start();
    for (const line of ['GET /tenants/none', 'GET /tenants/red', 'PUT /sessions', 'GET /sessions/x/y'])
      expect(await ask(line, { headers: {} })).toEqual(problem(401));
  });

  test('state and metrics ask for no token, as before', async () => {
    await start();
    expect((await ask('GET /healthz', { headers: {} })).status).toBe(200);
    expect((await ask('GET /status', { headers: {} })).status).toBe(200);
  });
});

describe('sessions', () => {
  test('are listed by what is named, and kept by no cache', async () => {
    await start({ records: ['a', 'b'].map((name) => recordOf({ key: sessionKey(name), subject: name })) });
    const all = await ask('GET /sessions');
    expect(all).toMatchObject({ status: 200, json: { sessions: [{}, {}], more: false }, headers: { 'cache-control': 'no-store' } });
    const some = await ask('GET /sessions?subject=b&issuer=local&backend=memory&tenant=default&limit=1');
    expect(some.json).toMatchObject({ sessions: [{ key: sessionKey('b'), subject: 'b' }], more: false });
    expect((await ask('GET /sessions?limit=1')).json).toMatchObject({ sessions: [{}], more: true });
    expect((await ask('GET /sessions?tenant=none')).json).toEqual({ sessions: [], more: false });
  });

  test('end one by one', async () => {
    const { open, store } = await start();
    const key = sessionKey('a');
    expect(await ask(`DELETE /sessions/${key}`)).toMatchObject({ status: 200, json: { ended: 1 } });
    expect([await open(), (await store.read(key))?.end]).toEqual([[], 'revoked']);
    expect(await ask(`DELETE /sessions/${key}`)).toEqual(problem(404, `there is no open session ${key}`));
  });

  test('end all of a caller', async () => {
    const { open } = await start({
      records: ['a', 'b', 'c'].map((name) => recordOf({ key: sessionKey(name), subject: name === 'c' ? 'other' : 'x y' })),
    });
    expect(await ask('DELETE /sessions?issuer=local&subject=x%20y')).toMatchObject({ status: 200, json: { ended: 2 } });
    expect(await open()).toEqual([sessionKey('c')]);
  });

  test.each([
    ['DELETE /sessions', 'issuer: must be given; subject: must be given'],
    ['DELETE /sessions?issuer=local', 'subject: must be given'],
    ['DELETE /sessions?subject=local', 'issuer: must be given'],
    ['DELETE /sessions?issuer=&subject=', 'issuer: must not be empty; subject: must not be empty'],
    ['DELETE /sessions?issuer=local&subject=local&backend=memory', 'backend: unknown field'],
    ['DELETE /sessions?issuer=local&subject=local&subject=other', 'a parameter is given twice'],
    [`DELETE /sessions/${sessionKey('a')}?backend=memory`, 'backend: unknown field'],
    ['GET /sessions?subjet=local', 'subjet: unknown field'],
    ['GET /sessions?limit=0', /^limit: /],
    ['GET /sessions?limit=1001', /^limit: /],
    ['GET /sessions?limit=x', /^limit: /],
    ['GET /sessions?limit=1.5', /^limit: /],
    [`GET /sessions?subject=${'x'.repeat(1_025)}`, /^subject: /],
  ])('%s is refused, and changes nothing', async (line, detail) => {
    const { open } = await start();
    expect(await ask(line)).toEqual(problem(400, typeof detail === 'string' ? detail : expect.stringMatching(detail)));
    expect(await open()).toHaveLength(1);
  });

  test('a store that is out of reach is a 503', async () => {
    const gone = () => Promise.reject(new Error('redis://secret@host'));
    await start({ over: { list: gone, read: gone, revokeCaller: gone } });
    for (const line of ROUTES.slice(0, 3))
      expect(await ask(line)).toEqual(problem(503, 'the store of sessions does not answer: try again'));
    expect((await ask('GET /tenants')).status).toBe(200);
  });
});

describe('tenants', () => {
  test('are listed, and shown with their use', async () => {
    await start();
    expect((await ask('GET /tenants')).json).toMatchObject({ tenants: [{ name: 'red', quotas: [{ requests: 10, per: '1m' }] }] });
    expect((await ask('GET /tenants/red')).json).toMatchObject({
      name: 'red',
      quotas: [{ requests: 10, use: null }],
      use: { sessions: null },
    });
  });

  test.each(['blue', 'Red', '..', '%2e%2e', '%00'])('%s is none', async (name) => {
    await start();
    expect((await ask(`GET /tenants/${name}`)).status).toBe(404);
  });
});

describe('what is not there', () => {
  test.each([
    'GET /sessions/',
    'DELETE /sessions/',
    'DELETE /sessions/a/b',
    'GET /tenants/red/x',
    'DELETE /sessions/..%2ftenants',
    'DELETE /sessions/%00',
  ])('%s: 404', async (line) => {
    const { open } = await start();
    expect(await ask(line)).toEqual(problem(404));
    expect(await open()).toHaveLength(1);
  });

  test.each([
    ['POST /sessions', 'GET, DELETE'],
    ['GET /sessions/x', 'DELETE'],
    ['DELETE /tenants', 'GET, POST'],
    ['POST /tenants/red', 'GET, PUT, PATCH, DELETE'],
  ])('%s: 405', async (line, allowed) => {
    await start();
    const answer = await ask(line);
    expect(answer).toEqual(problem(405));
    expect(answer.headers['allow']).toBe(allowed);
  });
});

test('a body is not taken, and the connection ends with the answer', async () => {
  const { open } = await start();
  for (const headers of [{ 'content-length': '2' }, { 'transfer-encoding': 'chunked' }]) {
    const answer = await ask(`DELETE /sessions/${sessionKey('a')}`, { headers: { ...AUTHORIZED, ...headers }, body: '{}' });
    expect(answer).toEqual(problem(413));
    expect(answer.headers['connection']).toBe('close');
  }
  expect(await open()).toHaveLength(1);
});

test('what is no HTTP is refused, and the next request is answered', async () => {
  await start();
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(server?.address.port ?? 0, '127.0.0.1', () => socket.write('garbage\r\n\r\n'));
    let received = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      received += part;
    });
    socket.on('end', () => resolve(received)).on('error', reject);
  });
  expect(text).toMatch(/^HTTP\/1\.1 400 /);
  expect((await ask('GET /tenants')).status).toBe(200);
});
