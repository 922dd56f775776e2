// What REST changes is in force: servers are registered, changed and removed under the eyes of MCP clients, and are there after a restart.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { adapter, adapterStatus, sessionList, tenantDetail } from '../../src/api/schemas.ts';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { type HttpAnswer, openSession, post, type Session } from '../harness/mcp-http.ts';
import { outcomeOf } from '../harness/outcome.ts';
import { serverBackend } from '../harness/resource.ts';
import { type Rest, restAt } from '../harness/rest.ts';
import { tenant } from '../harness/tenant.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type RecordingUpstream, startRecordingUpstream } from '../servers/recording-upstream.ts';

const home = mkdtempSync(join(tmpdir(), 'gw-'));
const STREAM_TIMEOUT_MS = 60_000;
let issuer: TestIssuer;
let upstream: RecordingUpstream;
let gateway: Gateway;
let operator: Rest;
let admin: Rest;
const texts: string[] = [];

const staff = (subject = 'paul') => issuer.bearer(subject, { groups: ['staff'] });
const open = (name: string, headers = staff()): Promise<Session> => openSession(gateway.backendUrl(name), { headers });
const everyone = { tenants: ['*'] };
const adapterAt = (name: string, more: object = {}) => ({ name, image: upstream.url(name), access: everyone, ...more });

async function register(body: { readonly name: string }) {
  const answer = await operator('POST /adapters', { body });
  expect(answer.status, answer.text).toBe(201);
  return answer;
}

const initialize = (name: string, headers = staff()): Promise<HttpAnswer> =>
  post(
    gateway.backendUrl(name),
    {
      ...{ jsonrpc: '2.0', id: 1, method: 'initialize' },
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    },
    headers,
  );

async function start(): Promise<void> {
  gateway = await startGateway({
    home,
    workers: 2,
    env: {
      ...issuer.env,
      MCP_GATEWAY_URL_ALLOW_LIST: '127.0.0.1',
      MCP_GATEWAY_ALLOWED_IMAGES: 'ghcr.io/acme/',
      MCP_GATEWAY_AUDIT_LOG: 'stdout',
      MCP_GATEWAY_LOG_LEVEL: 'trace',
    },
    resources: [
      serverBackend('runs', 'counter-server', { access: everyone }),
      tenant('staff', { match: [{ issuer: issuer.issuer, claim: 'groups', values: ['staff'] }] }),
    ],
  });
  const noted =
    (rest: Rest): Rest =>
    async (line, options) => {
      const answer = await rest(line, options);
      texts.push(answer.text, JSON.stringify([...answer.headers]));
      return answer;
    };
  // Tokens are good for five minutes.
  operator = noted((line, options) => restAt(gateway.url, issuer.bearer('otto', { roles: ['mcp.operator'] }))(line, options));
  admin = noted((line, options) => restAt(gateway.url, issuer.bearer('adam', { roles: ['mcp.admin'] }))(line, options));
}

beforeAll(async () => {
  issuer = await startIssuer();
  upstream = await startRecordingUpstream();
  await start();
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  await issuer?.stop();
  rmSync(home, { recursive: true, force: true });
});

describe('a registered backend', () => {
  test('is used by MCP clients at once', async () => {
    const created = await register(adapterAt('fresh'));
    const session = await open('fresh');
    expect(await session.call('read')).toEqual({ calls: 1 });
    expect(created.headers.get('location')).toBe('/adapters/fresh');
    expect(created.headers.get('etag')).toBe(`"${created.json.revision}"`);
    expect(adapter.strict().safeParse(created.json).error?.issues).toBeUndefined();
    expect(created.json).toMatchObject({
      ...{
        id: 'fresh',
        name: 'fresh',
        imageName: upstream.url('fresh'),
        imageVersion: '',
        source: 'api',
        url: gateway.backendUrl('fresh'),
      },
      ...{ createdBy: `${issuer.issuer} otto`, createdAt: expect.any(String), environmentVariables: {} },
    });
    const status = await waitFor('it to be healthy', async () => {
      const { json } = await operator('GET /adapters/fresh/status');
      return json.replicaStatus === 'healthy' && json;
    });
    expect(adapterStatus.strict().safeParse(status).error?.issues).toBeUndefined();
    expect(status).toMatchObject({ readyReplicas: 1, updatedReplicas: 1, availableReplicas: 1, image: upstream.url('fresh') });
  });

  test('that is changed is another one for whoever connects then', async () => {
    const created = await register(adapterAt('moved'));
    await open('moved');
    const changed = await operator('PUT /adapters/moved', {
      body: { image: upstream.url('elsewhere'), access: everyone, description: 'new' },
    });
    expect([changed.status, changed.json.description]).toEqual([200, 'new']);
    expect(changed.json).toMatchObject({ createdBy: created.json.createdBy, createdAt: created.json.createdAt });
    expect(changed.json.revision).not.toBe(created.json.revision);
    await waitFor('a session on the new server', async () => {
      await open('moved');
      return upstream.requests('elsewhere').some(({ rpc }) => rpc === 'initialize');
    });
    expect((await operator('PUT /adapters/moved', { body: { image: upstream.url('elsewhere') } })).json.access).toBeNull();
    expect((await initialize('moved')).status).toBe(403);
    expect((await initialize('moved', issuer.bearer('otto', { groups: ['staff'] }))).status).toBe(200);
  });

  test('that is removed is unknown, for its sessions too, and can be registered again', async () => {
    await register(adapterAt('gone'));
    const session = await open('gone');
    expect((await operator('DELETE /adapters/gone')).status).toBe(204);
    expect((await operator('GET /adapters/gone')).status).toBe(404);
    expect((await operator('DELETE /adapters/gone')).status).toBe(404);
    const never = await initialize('never');
    const told = ({ status, text }: HttpAnswer) => [status, text];
    expect(told(await initialize('gone'))).toEqual(told(never));
    const message = { jsonrpc: '2.0', id: 2, method: 'tools/list' };
    expect(told(await session.send(message))).toEqual(told(await post(gateway.backendUrl('never'), message, session.headers)));
    expect((await operator('GET /sessions?backend=gone')).json).toEqual({ sessions: [], more: false });
    // Somebody else's, perhaps: the old session is none of it.
    await register(adapterAt('gone', { image: upstream.url('successor') }));
    expect((await session.send(message)).status).toBe(404);
    expect(upstream.requests('successor').filter(({ rpc }) => rpc !== '')).toEqual([]);
    expect(await (await open('gone')).call('read')).toEqual({ calls: 1 });
  });

  test('that is unwell says why', async () => {
    await register({ ...adapterAt('unwell'), ...{ image: 'http://127.0.0.1:9/mcp' } });
    const status = await waitFor('it to be unhealthy', async () => {
      const { json } = await operator('GET /adapters/unwell/status');
      return json.replicaStatus === 'unhealthy' && json;
    });
    expect(status.message).not.toBe('');
  });
});

test('a sidecar that hangs holds up nobody who changes something', async () => {
  const [pid] = gateway.sidecarPids() as [number];
  process.kill(pid, 'SIGSTOP');
  try {
    await register(adapterAt('meanwhile'));
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  // The one that hung hears of it when it goes on.
  const session = await waitFor('both sidecars to know it', () => open('meanwhile'));
  expect(await session.call('read')).toEqual({ calls: 1 });
});

describe('two who change the same', () => {
  test('the second one, who has seen what is gone, changes nothing', async () => {
    const { json: seen } = await register(adapterAt('both'));
    const put = (ifMatch: string, description: string) =>
      operator('PUT /adapters/both', { headers: { 'if-match': ifMatch }, body: adapterAt('both', { description }) });
    const first = await put(`"${seen.revision}"`, 'first');
    expect([first.status, first.headers.get('etag')]).toEqual([200, `"${first.json.revision}"`]);
    const second = await put(`"${seen.revision}"`, 'second');
    expect([second.status, second.json.code]).toEqual([412, 'changed']);
    expect((await operator('DELETE /adapters/both', { headers: { 'if-match': `"${seen.revision}"` } })).status).toBe(412);
    for (const tag of [`W/"${first.json.revision}"`, `"x", "${first.json.revision}"`, first.json.revision, '""', 'x']) {
      expect((await put(tag, 'weak')).status, tag).toBe(412);
    }
    expect((await operator('GET /adapters/both')).json.description).toBe('first');
    expect((await put('*', 'any')).json.description).toBe('any');
    const last = (await operator('GET /adapters/both')).headers.get('etag') ?? '';
    expect((await operator('DELETE /adapters/both', { headers: { 'if-match': last } })).status).toBe(204);
    expect((await put(last, 'gone')).status).toBe(404);
  });

  test('the same for tenants', async () => {
    const { json: seen } = await admin('POST /tenants', { body: { name: 'twice' } });
    const patch = (sessions: number) =>
      admin('PATCH /tenants/twice', { headers: { 'if-match': `"${seen.revision}"` }, body: { limits: { sessions } } });
    expect((await patch(1)).status).toBe(200);
    expect((await patch(2)).status).toBe(412);
    const headers = { 'if-match': `"${seen.revision}"` };
    expect((await admin('PUT /tenants/twice', { headers, body: {} })).status).toBe(412);
    expect((await admin('DELETE /tenants/twice', { headers })).status).toBe(412);
    expect((await admin('GET /tenants/twice')).json.limits.sessions).toBe(1);
    expect((await admin('DELETE /tenants/twice')).status).toBe(204);
  });
});

describe('values of variables', () => {
  const SECRET = 'never-to-be-seen-again';
  const body = { name: 'keeper', image: 'ghcr.io/acme/server:1', args: [] };
  const written = () => JSON.parse(readFileSync(join(home, 'registry', 'MCPBackend.keeper.json'), 'utf8')).spec.env;

  test('are kept, changed and removed, and never told', async () => {
    const created = await register({ ...body, ...{ environmentVariables: { A: `${SECRET}-a`, B: `${SECRET}-b` } } });
    expect(created.json.environmentVariables).toEqual({ A: null, B: null });
    const changed = await operator('PUT /adapters/keeper', { body: { ...body, environmentVariables: { A: null, C: `${SECRET}-c` } } });
    expect(changed.json.environmentVariables).toEqual({ A: null, C: null });
    expect(written()).toEqual([
      { name: 'A', value: `${SECRET}-a` },
      { name: 'C', value: `${SECRET}-c` },
    ]);
    const same = await operator('PUT /adapters/keeper', { body: (await operator('GET /adapters/keeper')).json });
    expect([same.status, same.json.environmentVariables]).toEqual([200, { A: null, C: null }]);
    await operator('PUT /adapters/keeper', { body });
    expect(written()).toHaveLength(2);
    expect((await operator('PUT /adapters/keeper', { body: { ...body, environmentVariables: {} } })).json.environmentVariables).toEqual({});
    expect(written()).toBeUndefined();
    await operator('PUT /adapters/keeper', { body: { ...body, environmentVariables: { A: `${SECRET}-d` } } });
  });

  test('nor when something is wrong with them', async () => {
    const wrong = [
      { ...body, environmentVariables: { NODE_OPTIONS: SECRET } },
      { ...body, environmentVariables: { PORT: SECRET, A: SECRET } },
      { ...body, environmentVariables: { 'A B': SECRET } },
      { ...body, environmentVariables: { A: SECRET.repeat(2_000) } },
      { ...body, environmentVariables: [SECRET] },
      { ...body, environmentVariables: SECRET },
      { ...body, environmentVariables: { A: { value: SECRET } } },
      `{"name": "keeper", "environmentVariables": {"A": "${SECRET}" "B"`,
    ];
    for (const sent of wrong) expect((await operator('PUT /adapters/keeper', { body: sent })).status).toBe(400);
  });

  test('nor in any log, state, metric or file but the registry’s', async () => {
    for (const path of ['/adapters', '/adapters/keeper', '/adapters/keeper/status', '/openapi.json']) await operator(`GET ${path}`);
    texts.push((await operator('POST /helm-values', { body: {} })).text);
    expect(texts.at(-1)).toContain('keeper');
    const authorization = `Bearer ${readFileSync(join(home, 'token'), 'utf8').trim()}`;
    for (const path of ['/status', '/metrics', '/adapters/keeper'])
      texts.push((await restAt(gateway.admin, { authorization })(`GET ${path}`)).text);
    expect(texts.filter((text) => text.includes(SECRET))).toEqual([]);
    expect(gateway.logs()).not.toContain(SECRET);
    const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const holding = files.filter(({ name, parentPath }) => readFileSync(join(parentPath, name), 'utf8').includes(SECRET));
    expect(holding.map(({ name }) => name)).toEqual(['MCPBackend.keeper.json']);
  });
});

describe('tenants', () => {
  const headers = () => issuer.bearer('ellen', { groups: ['eng'] });
  const call = (session: Session) =>
    session.send({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'read', arguments: {} } }).then(outcomeOf);
  const spec = { match: [] as object[], quotas: [{ requests: 100, per: '365d' }] };

  test('a quota that is created and adjusted is in force, and its use is shown', async () => {
    await register(adapterAt('metered'));
    spec.match = [{ issuer: issuer.issuer, claim: 'groups', values: ['eng'] }];
    expect((await initialize('metered', headers())).status).toBe(403);
    const created = await admin('POST /tenants', { body: { name: 'eng', ...spec } });
    expect([created.status, created.headers.get('location')]).toEqual([201, '/tenants/eng']);
    expect(tenantDetail.strict().safeParse(created.json).error?.issues).toBeUndefined();
    const adjustment = await admin('PATCH /tenants/eng', { body: { quotas: [{ requests: 2, per: '365d' }] } });
    expect(adjustment.json.quotas).toMatchObject([{ requests: 2, per: '365d', use: { used: 0, remaining: 2 } }]);
    const session = await open('metered', headers());
    expect([await call(session), await call(session), await call(session)]).toEqual(['ok', 'ok', 'quota_exceeded']);
    expect((await admin('GET /tenants/eng')).json.quotas).toMatchObject([{ use: { used: 2, remaining: 0 } }]);
  });

  test('more of it is in force, too; what is used goes on to count', async () => {
    const session = await open('metered', headers());
    await admin('PATCH /tenants/eng', { body: { quotas: [{ requests: 3, per: '365d' }] } });
    expect([await call(session), await call(session)]).toEqual(['ok', 'quota_exceeded']);
    expect((await admin('GET /tenants/eng')).json.quotas).toMatchObject([{ requests: 3, use: { used: 3, remaining: 0 } }]);
    const taken = await admin('PATCH /tenants/eng', { body: { quotas: [{ requests: null, per: '365d' }], limits: { sessions: 50 } } });
    expect(taken.json).toMatchObject({ quotas: [], limits: { sessions: 50, concurrentRequests: null }, match: spec.match });
    expect(await call(session)).toBe('ok');
  });

  test('one that is removed has no members any more', async () => {
    expect((await admin('DELETE /tenants/eng')).status).toBe(204);
    expect((await admin('GET /tenants/eng')).status).toBe(404);
    expect((await initialize('metered', headers())).status).toBe(403);
  });
});

describe('sessions', () => {
  test('are listed with where they are, and ended one by one or all of somebody', async () => {
    await register(adapterAt('held'));
    const [one, two, other] = [await open('held', staff('sue')), await open('held', staff('sue')), await open('held', staff('tom'))];
    const list = async (query: string) => (await operator(`GET /sessions?backend=held${query}`)).json;
    const found = await list('&subject=sue');
    expect(sessionList.strict().safeParse(found).error?.issues).toBeUndefined();
    expect(found.sessions).toHaveLength(2);
    for (const session of found.sessions) {
      expect(session).toMatchObject({
        backend: 'held',
        tenant: 'staff',
        issuer: issuer.issuer,
        subject: 'sue',
        instance: expect.any(String),
      });
    }
    expect(JSON.stringify(found)).not.toContain(one.id);
    expect((await list('&limit=1')).more).toBe(true);
    const key = found.sessions[0].key;
    expect((await operator(`DELETE /sessions/${key}`)).json).toEqual({ ended: 1 });
    expect((await operator(`DELETE /sessions/${key}`)).status).toBe(404);
    const message = { jsonrpc: '2.0', id: 5, method: 'tools/list' };
    const statuses = async () =>
      (await Promise.all([one, two].map((session) => session.send(message)))).map(({ status }) => status).toSorted();
    await waitFor('one of the two to be refused', async () => String(await statuses()) === '200,404');
    const caller = new URLSearchParams({ issuer: issuer.issuer, subject: 'sue' }).toString();
    expect((await operator(`DELETE /sessions?${caller}`)).json).toEqual({ ended: 1 });
    await waitFor('both to be refused', async () => String(await statuses()) === '404,404');
    expect((await other.send(message)).status).toBe(200);
  });
});

describe('logs', () => {
  async function* streamed(path: string, accept: string): AsyncGenerator<string> {
    const headers = { accept, ...issuer.bearer('otto', { roles: ['mcp.operator'] }) };
    const response = await fetch(`${gateway.url}${path}`, { headers, signal: AbortSignal.timeout(STREAM_TIMEOUT_MS) });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain(accept);
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      yield text;
    }
  }
  const count = (text: string, what: string): number => text.split(what).length - 1;

  test.each([
    ['text/event-stream', 'data: listening http'],
    ['text/plain', 'listening http'],
  ])('are followed as %s, over a new start of the server', async (accept, line) => {
    await waitFor('a line', async () => (await operator('GET /adapters/runs/logs?lines=1')).text.startsWith('listening'));
    let restarted: Promise<unknown> | undefined;
    for await (const text of streamed('/adapters/runs/logs?follow=true&lines=1', accept)) {
      if (count(text, line) === 1) restarted ??= operator('POST /adapters/runs/restart');
      if (count(text, line) === 2) {
        if (accept === 'text/event-stream') expect(text).toMatch(/^data: listening [^\n]*\n\n/);
        break;
      }
    }
    expect(await restarted).toMatchObject({ status: 202, json: { name: 'runs', restarting: true } });
  });

  test('without `follow` they end', async () => {
    const lines = async (query: string, headers = {}) => (await operator(`GET /adapters/runs/logs${query}`, { headers })).text;
    expect(await lines('?lines=1')).toMatch(/^listening [^\n]*\n$/);
    expect(await lines('?lines=1', { accept: 'text/event-stream' })).toMatch(/^data: listening [^\n]*\n\n$/);
    expect(await lines('?lines=0')).toBe('');
    expect((await operator('GET /adapters/runs/logs?instance=7')).status).toBe(404);
    expect((await operator('GET /adapters/runs/logs?lines=10001')).status).toBe(400);
  });
});

test('every change is in the audit log, with who asked for it', async () => {
  const entries = () =>
    gateway
      .logs()
      .split('\n')
      .filter((line) => line.startsWith('{') && line.includes('"event":"admin"') && line.endsWith('}'))
      .map((line) => JSON.parse(line));
  const outcomes = (action: string, target: string) =>
    entries()
      .filter((entry) => entry.action === action && entry.target === target)
      .map(({ caller, outcome }) => `${caller.subject} ${outcome}`);
  await waitFor('the lines', () => outcomes('tenant.remove', 'eng').length > 0);
  expect(outcomes('backend.create', 'gone')).toEqual(['otto done', 'otto done']);
  expect(outcomes('backend.remove', 'gone')).toEqual(['otto done', 'otto refused']);
  expect(outcomes('tenant.adjust', 'twice')).toEqual(['adam done', 'adam refused']);
});

test('after a restart on the same home everything that was registered is there, and is used', async () => {
  await admin('POST /tenants', { body: { name: 'later', priority: 5 } });
  const before = (await admin('GET /adapters')).json;
  const session = await open('fresh');
  await gateway.stop();
  await start();
  const after = (await admin('GET /adapters')).json;
  const declared = (list: Record<string, unknown>[]) =>
    list.map(({ name, image, revision, createdBy, createdAt }) => ({ name, image, revision, createdBy, createdAt }));
  expect(declared(after)).toEqual(declared(before));
  expect((await admin('GET /tenants/later')).json).toMatchObject({ source: 'api', priority: 5 });
  const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'read', arguments: {} } };
  // The gateway has another port now.
  expect(outcomeOf(await post(gateway.backendUrl('fresh'), message, session.headers))).toBe('ok');
  expect(await (await open('fresh')).call('read')).toEqual({ calls: 1 });
});
