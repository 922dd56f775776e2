// The REST interface on the gateway's own URL: who may do what, what is told to whom, and what is refused whoever asks.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { sendRaw } from '../harness/raw-http.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { type RestAnswer, type RestOptions, restAt } from '../harness/rest.ts';
import { tenant } from '../harness/tenant.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type RecordingUpstream, startRecordingUpstream } from '../servers/recording-upstream.ts';

let issuer: TestIssuer;
let upstream: RecordingUpstream;
let gateway: Gateway;
let names = 0;

/** Members of the only tenant, but for the stranger. */
const groups = ['staff'];
const HEADERS = {
  nobody: () => ({}),
  basic: () => ({ authorization: 'Basic YTpi' }),
  forged: () => ({ authorization: `${issuer.bearer('adam', { roles: ['mcp.admin'] }).authorization}x` }),
  expired: () => issuer.bearer('adam', { roles: ['mcp.admin'], exp: 1 }),
  elsewhere: () => issuer.bearer('adam', { roles: ['mcp.admin'], aud: 'other' }),
  // For one backend, which is not the whole gateway.
  narrow: () => issuer.bearer('adam', { roles: ['mcp.admin'], aud: gateway.backendUrl('mine') }),
  stranger: () => issuer.bearer('sam'),
  plain: () => issuer.bearer('paul', { groups }),
  creator: () => issuer.bearer('cleo', { groups }),
  viewer: () => issuer.bearer('vera', { roles: ['mcp.viewer'] }),
  operator: () => issuer.bearer('otto', { roles: ['mcp.operator'] }),
  admin: () => issuer.bearer('adam', { roles: ['mcp.admin'] }),
};
type CallerName = keyof typeof HEADERS;
const CALLERS = Object.keys(HEADERS) as CallerName[];

const ask = (caller: CallerName, line: string, { headers = {}, body }: RestOptions = {}): Promise<RestAnswer> =>
  restAt(gateway.url)(line, { headers: { ...HEADERS[caller](), ...headers }, body });

const freshName = (): string => {
  names += 1;
  return `x${names}`;
};
const registerAs = (headers: Readonly<Record<string, string>>, body: Record<string, unknown>) =>
  restAt(gateway.url)('POST /adapters', { headers, body });
const adapterOf = (name: string, more: object = {}) => ({ name, image: upstream.url(name), ...more });
/** Of the caller `creator`, who had a role when it was made. @returns its name. */
async function made(more: object = {}, name = freshName()): Promise<string> {
  const answer = await registerAs(issuer.bearer('cleo', { groups, roles: ['mcp.operator'] }), adapterOf(name, more));
  expect(answer.status, answer.text).toBe(201);
  return name;
}
async function madeTenant(): Promise<string> {
  const name = freshName();
  expect((await ask('admin', 'POST /tenants', { body: { name } })).status).toBe(201);
  return name;
}

beforeAll(async () => {
  issuer = await startIssuer();
  upstream = await startRecordingUpstream();
  gateway = await startGateway({
    env: {
      ...issuer.env,
      MCP_GATEWAY_URL_ALLOW_LIST: '127.0.0.1',
      MCP_GATEWAY_ALLOWED_IMAGES: 'ghcr.io/acme/',
      MCP_GATEWAY_AUDIT_LOG: 'stdout',
    },
    resources: [
      backend('filed', { url: upstream.url('filed'), access: { tenants: ['*'] } }),
      serverBackend('runs', 'counter-server'),
      tenant('staff', { match: [{ issuer: issuer.issuer, claim: 'groups', values: groups }] }),
    ],
  });
  await made({}, 'mine');
  await made({ access: { tenants: ['staff'] } }, 'shared');
  await waitFor('the log of the server', async () => (await ask('admin', 'GET /adapters/runs/logs')).text.includes('listening'));
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  await issuer?.stop();
});

type Make = () => Promise<string> | string;
interface Row {
  readonly line: (name: string) => string;
  readonly name?: Make;
  readonly body?: (name: string) => unknown;
  /** Of those who may ask at all, in the order of COLUMNS. */
  readonly statuses: readonly number[];
}
const COLUMNS: readonly CallerName[] = ['plain', 'creator', 'viewer', 'operator', 'admin'];
const UNKNOWN: readonly CallerName[] = ['nobody', 'basic', 'forged', 'expired', 'elsewhere', 'narrow'];

const rows: Readonly<Record<string, Row>> = {
  'the document': { line: () => 'GET /openapi.json', statuses: [200, 200, 200, 200, 200] },
  'write a values file': { line: () => 'POST /helm-values', body: () => ({}), statuses: [403, 403, 200, 200, 200] },
  'list backends': { line: () => 'GET /adapters', statuses: [200, 200, 200, 200, 200] },
  'see a backend that is somebody’s': { line: () => 'GET /adapters/mine', statuses: [404, 200, 200, 200, 200] },
  'see a backend that is open to a tenant': { line: () => 'GET /adapters/shared', statuses: [200, 200, 200, 200, 200] },
  'see a backend of a file': { line: () => 'GET /adapters/filed', statuses: [200, 200, 200, 200, 200] },
  'see a backend of a file that is for administrators': { line: () => 'GET /adapters/runs', statuses: [404, 404, 200, 200, 200] },
  'see a backend that is not there': { line: () => 'GET /adapters/none', statuses: [404, 404, 404, 404, 404] },
  'see how a backend is doing': { line: () => 'GET /adapters/mine/status', statuses: [404, 200, 200, 200, 200] },
  'read a log': { line: () => 'GET /adapters/runs/logs', statuses: [404, 404, 403, 200, 200] },
  'read a log that is elsewhere': { line: () => 'GET /adapters/mine/logs', statuses: [404, 404, 403, 404, 404] },
  'restart what runs elsewhere': { line: () => 'POST /adapters/mine/restart', statuses: [404, 409, 403, 409, 409] },
  'restart somebody’s that is shared': { line: () => 'POST /adapters/shared/restart', statuses: [403, 409, 403, 409, 409] },
  'register a backend': { line: () => 'POST /adapters', body: adapterOf, statuses: [403, 403, 403, 201, 201] },
  'register a name that is taken': {
    line: () => 'POST /adapters',
    name: () => 'mine',
    body: adapterOf,
    statuses: [403, 403, 403, 409, 409],
  },
  'register a name of a file': { line: () => 'POST /adapters', name: () => 'filed', body: adapterOf, statuses: [403, 403, 403, 409, 409] },
  'register nonsense': { line: () => 'POST /adapters', body: () => ({}), statuses: [403, 403, 403, 400, 400] },
  'change a backend': {
    ...{ line: (name) => `PUT /adapters/${name}`, name: () => made(), body: adapterOf, statuses: [404, 403, 403, 200, 200] },
  },
  'change a shared backend': {
    ...{ line: (name) => `PUT /adapters/${name}`, name: () => made({ access: { tenants: ['staff'] } }), body: adapterOf },
    statuses: [403, 403, 403, 200, 200],
  },
  'change a backend of a file': {
    ...{ line: () => 'PUT /adapters/filed', name: () => 'filed', body: adapterOf, statuses: [403, 403, 403, 409, 409] },
  },
  'change what is not there': {
    line: () => 'PUT /adapters/none',
    name: () => 'none',
    body: adapterOf,
    statuses: [404, 404, 404, 404, 404],
  },
  'remove a backend': { line: (name) => `DELETE /adapters/${name}`, name: () => made(), statuses: [404, 204, 403, 204, 204] },
  'remove a backend of a file': { line: () => 'DELETE /adapters/filed', statuses: [403, 403, 403, 409, 409] },
  'remove what is not there': { line: () => 'DELETE /adapters/none', statuses: [404, 404, 404, 404, 404] },
  'list tenants': { line: () => 'GET /tenants', statuses: [403, 403, 200, 200, 200] },
  'see a tenant': { line: () => 'GET /tenants/staff', statuses: [403, 403, 200, 200, 200] },
  'see a tenant that is not there': { line: () => 'GET /tenants/none', statuses: [403, 403, 404, 404, 404] },
  'register a tenant': { line: () => 'POST /tenants', body: (name) => ({ name }), statuses: [403, 403, 403, 403, 201] },
  'register a tenant of a file': { line: () => 'POST /tenants', body: () => ({ name: 'staff' }), statuses: [403, 403, 403, 403, 409] },
  'change a tenant': {
    ...{ line: (name) => `PUT /tenants/${name}`, name: madeTenant, body: () => ({ priority: -1 }), statuses: [403, 403, 403, 403, 200] },
  },
  'adjust a tenant': {
    ...{ line: (name) => `PATCH /tenants/${name}`, name: madeTenant, body: () => ({ limits: { sessions: 1 } }) },
    statuses: [403, 403, 403, 403, 200],
  },
  'adjust a tenant of a file': { line: () => 'PATCH /tenants/staff', body: () => ({}), statuses: [403, 403, 403, 403, 409] },
  'change a tenant of a file': { line: () => 'PUT /tenants/staff', body: () => ({}), statuses: [403, 403, 403, 403, 409] },
  'remove a tenant': { line: (name) => `DELETE /tenants/${name}`, name: madeTenant, statuses: [403, 403, 403, 403, 204] },
  'remove a tenant of a file': { line: () => 'DELETE /tenants/staff', statuses: [403, 403, 403, 403, 409] },
  'list sessions': { line: () => 'GET /sessions', statuses: [403, 403, 200, 200, 200] },
  'end a session': { line: () => 'DELETE /sessions/none', statuses: [403, 403, 403, 404, 404] },
  'end all of somebody': { line: () => 'DELETE /sessions?issuer=x&subject=y', statuses: [403, 403, 403, 200, 200] },
};

describe('who may', () => {
  test.each(Object.entries(rows))('%s', async (_, { line, name = freshName, body, statuses }) => {
    const found: Partial<Record<CallerName, number>> = {};
    for (const caller of CALLERS) {
      const at = await name();
      const answer = await ask(caller, line(at), { body: body?.(at) });
      found[caller] = answer.status;
      if (answer.status >= 400) {
        expect(answer.headers.get('content-type')).toBe('application/problem+json');
        expect(answer.json).toMatchObject({
          type: 'about:blank',
          title: expect.any(String),
          status: answer.status,
          detail: expect.any(String),
        });
      }
    }
    expect(found).toEqual({
      ...Object.fromEntries(UNKNOWN.map((caller) => [caller, 401])),
      stranger: 403,
      ...Object.fromEntries(COLUMNS.map((caller, at) => [caller, statuses[at]])),
    });
  });

  test('whoever is not let in is told where to log in', async () => {
    const metadata = `${gateway.url}/.well-known/oauth-protected-resource`;
    for (const line of [
      'GET /adapters',
      'POST /adapters',
      'GET /adapters/mine',
      'GET /adapters/none',
      'DELETE /tenants/staff',
      'GET /openapi.json',
    ]) {
      const challenge = async (caller: CallerName) => (await ask(caller, line)).headers.get('www-authenticate');
      expect(await challenge('nobody'), line).toBe(`Bearer resource_metadata="${metadata}"`);
      expect(await challenge('elsewhere'), line).toBe(`Bearer resource_metadata="${metadata}", error="invalid_token"`);
    }
    const document = await restAt(gateway.url)('GET /.well-known/oauth-protected-resource');
    expect(document.json).toMatchObject({ resource: gateway.url, authorization_servers: [issuer.issuer] });
  });

  test('a token in the URL is refused', async () => {
    const token = issuer.token('adam', { roles: ['mcp.admin'] });
    expect((await restAt(gateway.url)(`GET /adapters?access_token=${token}`)).status).toBe(400);
  });

  test('the control token is none of the issuers’', async () => {
    const authorization = `Bearer ${readFileSync(join(gateway.home, 'token'), 'utf8').trim()}`;
    expect((await restAt(gateway.url, { authorization })('GET /adapters')).status).toBe(401);
    expect((await restAt(gateway.admin, { authorization })('GET /adapters')).status).toBe(200);
    expect((await restAt(gateway.admin, HEADERS.admin())('GET /adapters')).status).toBe(401);
  });
});

describe('what is told', () => {
  const listed = async (caller: CallerName): Promise<string[]> =>
    (await ask(caller, 'GET /adapters')).json.map(({ name }: { name: string }) => name).filter((name: string) => !/^x\d/.test(name));

  test('a list holds what the caller may know of', async () => {
    expect(await listed('plain')).toEqual(['filed', 'shared']);
    expect(await listed('creator')).toEqual(['filed', 'mine', 'shared']);
    for (const caller of ['viewer', 'operator', 'admin'] as const)
      expect(await listed(caller)).toEqual(['filed', 'mine', 'runs', 'shared']);
  });

  test('what the caller may not know of is as if it were not there', async () => {
    for (const line of ['GET /adapters/NAME', 'GET /adapters/NAME/status', 'GET /adapters/NAME/logs', 'DELETE /adapters/NAME']) {
      const [hidden, absent] = await Promise.all(['mine', 'nine'].map((name) => ask('plain', line.replace('NAME', name))));
      expect(hidden?.text.replaceAll('mine', 'nine')).toBe(absent?.text);
    }
  });

  test('pages of a list, each with the place of the next', async () => {
    const seen: string[] = [];
    for (let path: string | undefined = '/adapters?limit=1'; path !== undefined; ) {
      const page: RestAnswer = await ask('creator', `GET ${path}`);
      expect(page.json).toHaveLength(1);
      seen.push(page.json[0].name);
      path = /^<([^>]*)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1];
    }
    expect(seen.filter((name) => !/^x\d/.test(name))).toEqual(await listed('creator'));
  });

  test('is kept by nobody on the way', async () => {
    for (const line of ['GET /adapters', 'GET /adapters/mine', 'GET /sessions', 'GET /adapters/none'])
      expect((await ask('admin', line)).headers.get('cache-control')).toBe('no-store');
  });
});

describe('refused whoever asks', () => {
  const body = () => adapterOf(freshName());
  const unchanged = async (refuse: () => Promise<unknown>): Promise<void> => {
    const list = async () =>
      (await ask('admin', 'GET /adapters')).json.map(({ name, revision }: Record<string, string>) => [name, revision]);
    const before = await list();
    await refuse();
    expect(await list()).toEqual(before);
  };

  test.each(['https://evil.example', 'http://localhost:3000', 'null'])('a web page (%s)', async (origin) => {
    await unchanged(async () => {
      for (const [line, sent] of [['POST /adapters', body()], ['GET /adapters'], ['DELETE /adapters/mine']] as const) {
        const answer = await ask('admin', line, { headers: { origin }, body: sent });
        expect(answer.status).toBe(403);
        expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([]);
      }
      const asked = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' };
      expect((await ask('admin', 'OPTIONS /adapters', { headers: asked })).status).toBe(403);
    });
  });

  test.each(['evil.example', 'localhost.evil.example', '127.0.0.1.nip.io'])('a name that is not served (%s)', async (host) => {
    const { authorization } = HEADERS.admin();
    const url = `${gateway.url}/adapters`;
    const answer = await sendRaw({
      ...{ method: 'GET', url, bare: true },
      headers: [
        ['Host', host],
        ['Authorization', authorization],
      ],
    });
    answer.socket.destroy();
    expect(answer.status).toBe(403);
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/jsonx', ''])(
    '%j is no JSON',
    async (type) => {
      await unchanged(async () => {
        for (const line of ['POST /adapters', 'PUT /adapters/mine', 'POST /tenants', 'PATCH /tenants/staff']) {
          const answer = await ask('admin', line, { headers: { 'content-type': type }, body: body() });
          expect([answer.status, answer.headers.get('accept')]).toEqual([415, 'application/json']);
        }
      });
    },
  );

  test('JSON with a charset is JSON', async () => {
    const answer = await ask('admin', 'POST /adapters', { headers: { 'content-type': 'Application/JSON; charset=utf-8' }, body: body() });
    expect(answer.status).toBe(201);
  });

  test.each(['', '{', '{"name": "hidden-value"', 'hidden-value', '\u0000', '{} {}'])('%j is broken', async (text) => {
    const answer = await ask('admin', 'POST /adapters', { headers: { 'content-type': 'application/json' }, body: text });
    expect(answer).toMatchObject({ status: 400, json: { code: 'invalid' } });
    expect(answer.text).not.toContain('hidden');
  });

  test.each(['[]', 'null', '1', '"x"'])('%s is no adapter', async (text) => {
    expect((await ask('admin', 'POST /adapters', { body: text })).json).toMatchObject({ status: 400, detail: 'a JSON object is needed' });
  });

  test('what is no UTF-8', async () => {
    const headers: [string, string][] = [['Content-Type', 'application/json'], ...Object.entries(HEADERS.admin())];
    const answer = await sendRaw({ url: `${gateway.url}/adapters`, headers, body: Buffer.from('{"name": "\xff"}', 'latin1') });
    expect([answer.status, JSON.parse((await answer.body()).toString())]).toEqual([400, expect.objectContaining({ code: 'invalid' })]);
    answer.socket.destroy();
  });

  describe('more than a megabyte', () => {
    const text = JSON.stringify({ name: 'x', description: 'x'.repeat(1_048_576) });
    const large = Buffer.from(text.repeat(8));
    const inPieces = (body: Buffer): Buffer[] =>
      Array.from({ length: 64 }, (_, n) => body.subarray((n * body.length) / 64, ((n + 1) * body.length) / 64));
    const sent = async (body: Buffer | readonly Buffer[], headers: Readonly<Record<string, string>>): Promise<number> => {
      const answer = await sendRaw({
        ...{ url: `${gateway.url}/adapters`, body },
        headers: Object.entries({ 'Content-Type': 'application/json', ...headers }),
      });
      answer.socket.destroy();
      return answer.status;
    };

    test.each([
      ['a little more', Buffer.from(text)],
      ['a little more, in pieces', inPieces(Buffer.from(text))],
      ['much more', large],
      ['much more, in pieces', inPieces(large)],
    ])('%s', async (_, body) => {
      await unchanged(async () => {
        for (let time = 0; time < 5; time += 1) expect(await sent(body, HEADERS.admin())).toBe(413);
      });
    });

    test('does not keep anybody from being told something else', async () => {
      for (const body of [large, inPieces(large)]) {
        expect(await sent(body, {})).toBe(401);
        expect(await sent(body, { ...HEADERS.admin(), origin: 'null' })).toBe(403);
        expect(await sent(body, { ...HEADERS.admin(), 'Content-Type': 'text/plain' })).toBe(415);
      }
    });
  });

  test('a body where none is taken', async () => {
    const key = await made();
    expect((await ask('admin', `DELETE /adapters/${key}`, { body: {} })).status).toBe(413);
    expect((await ask('admin', `GET /adapters/${key}`)).status).toBe(200);
  });

  test('parameters that nobody knows', async () => {
    for (const line of ['GET /adapters?name=x', 'DELETE /adapters/mine?force=true', 'POST /adapters?x=1']) {
      expect((await ask('admin', line, line.startsWith('POST') ? { body: body() } : {})).status, line).toBe(400);
    }
    expect((await ask('admin', 'GET /adapters/mine')).status).toBe(200);
  });

  test.each(['PATCH /adapters/mine', 'POST /adapters/mine', 'PUT /adapters', 'DELETE /adapters', 'POST /sessions', 'PUT /openapi.json'])(
    '%s: there is no such method',
    async (line) => {
      const answer = await ask('admin', line, { body: {} });
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, expect.stringMatching(/GET|PUT|POST|DELETE/)]);
    },
  );

  test.each([
    ['a program of this machine', { image: 'exec:/bin/sh' }, 'files only'],
    ['a program by name and version', { imageName: 'exec:sh', imageVersion: '1' }, 'files only'],
    ['an image outside of the list', { image: 'ghcr.io/evil/server:1' }, 'not among'],
    ['an image whose name begins alike', { image: 'ghcr.io/acme-evil/server:1' }, 'not among'],
    ['a package outside of the list', { image: 'npm:evil@1.0.0' }, 'not among'],
    ['a package without its version', { image: 'npm:evil' }, 'exact version'],
    ['this machine by another address', { image: 'http://127.0.0.2:8081/' }, '127.0.0.2'],
    ['this machine in IPv6', { image: 'http://[::1]:8081/' }, '::1'],
    ['this machine in IPv4 in IPv6', { image: 'http://[::ffff:127.0.0.2]/' }, 'not allowed'],
    ['any address of this machine', { image: 'http://0.0.0.0:8081/' }, '0.0.0.0'],
    ['an address as a number', { image: 'http://2130706434/' }, '127.0.0.2'],
    ['the cloud’s own services', { image: 'http://169.254.169.254/latest/' }, '169.254.169.254'],
    ['a private network', { imageName: 'https://10.0.0.1/' }, '10.0.0.1'],
  ])('%s', async (_, image, said) => {
    const name = freshName();
    for (const caller of ['operator', 'admin'] as const) {
      const created = await ask(caller, 'POST /adapters', { body: { name, ...image } });
      const changed = await ask(caller, 'PUT /adapters/mine', { body: image });
      for (const answer of [created, changed]) {
        expect([answer.status, answer.json.code, answer.json.errors]).toEqual([
          403,
          'forbidden',
          [{ field: 'image', message: expect.any(String) }],
        ]);
        expect(answer.json.detail).toContain(said);
      }
    }
    expect((await ask('admin', `GET /adapters/${name}`)).status).toBe(404);
  });
});

describe('a defect of Microsoft’s gateway that this one has not', () => {
  const image = { image: 'ghcr.io/acme/server:1' };

  test('only POST is routed', async () => {
    const name = await made();
    const statuses = async (lines: readonly string[]) =>
      Promise.all(lines.map(async (line) => (await ask('admin', line, line.startsWith('PUT') ? { body: adapterOf(name) } : {})).status));
    expect(await statuses([`GET /adapters/${name}`, `PUT /adapters/${name}`])).toEqual([200, 200]);
    expect(await statuses([`DELETE /adapters/${name}`])).toEqual([204]);
  });

  test('the metadata document has one `resource` for every path', async () => {
    const read = async (path: string) => (await restAt(gateway.url)(`GET /.well-known/oauth-protected-resource${path}`)).json.resource;
    expect([await read(''), await read('/adapters/mine/mcp'), await read('/adapters/shared/mcp')]).toEqual([
      gateway.url,
      gateway.backendUrl('mine'),
      gateway.backendUrl('shared'),
    ]);
  });

  test('any caller may create any image', async () => {
    const body = { name: freshName(), imageName: 'evil.example/miner', imageVersion: 'latest' };
    for (const caller of ['plain', 'viewer', 'operator', 'admin'] as const)
      expect((await ask(caller, 'POST /adapters', { body })).status, caller).toBe(403);
  });

  test('a name that is taken adopts somebody else’s workload', async () => {
    const name = await made({ description: 'cleo’s' });
    const before = await ask('admin', `GET /adapters/${name}`);
    expect((await ask('operator', 'POST /adapters', { body: adapterOf(name, { description: 'otto’s' }) })).status).toBe(409);
    const after = await ask('admin', `GET /adapters/${name}`);
    expect([after.json.revision, after.json.createdBy]).toEqual([before.json.revision, `${issuer.issuer} cleo`]);
    // Nor does one that is made anew inherit anything.
    await ask('admin', `DELETE /adapters/${name}`);
    const anew = await ask('operator', 'POST /adapters', { body: adapterOf(name) });
    expect(anew.json).toMatchObject({ description: '', createdBy: `${issuer.issuer} otto`, environmentVariables: {} });
  });

  test('values of variables are shown to every reader', async () => {
    const name = await made({ ...image, access: { tenants: ['staff'] }, environmentVariables: { TOKEN: 'hidden-value' } });
    for (const caller of COLUMNS) {
      for (const path of ['/adapters', `/adapters/${name}`, `/adapters/${name}/status`]) {
        const { text } = await ask(caller, `GET ${path}`);
        expect(text).toContain('ghcr.io/acme/server');
        expect(text).not.toContain('hidden');
      }
    }
  });

  test('a variable that is removed stays', async () => {
    const name = await made({ ...image, environmentVariables: { A: 'a', B: 'b' } });
    await ask('admin', `PUT /adapters/${name}`, { body: { ...image, environmentVariables: { B: null } } });
    expect((await ask('admin', `GET /adapters/${name}`)).json.environmentVariables).toEqual({ B: null });
    // And a name that comes back does not bring its old value.
    const back = await ask('admin', `PUT /adapters/${name}`, { body: { ...image, environmentVariables: { A: null } } });
    expect([back.status, back.json.errors]).toEqual([400, [{ field: 'environmentVariables.A', message: expect.any(String) }]]);
  });

  test('PUT on what is not there is a 400', async () => {
    expect((await ask('operator', 'PUT /adapters/nothing', { body: adapterOf('nothing') })).status).toBe(404);
  });

  test('nobody is told that a server does not run', async () => {
    const name = await made(image);
    const { json } = await ask('creator', `GET /adapters/${name}/status`);
    expect(json).toMatchObject({ readyReplicas: 0, image: image.image, replicaStatus: 'unhealthy', message: expect.stringMatching(/./) });
  });
});
