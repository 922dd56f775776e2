// Servers elsewhere that want a secret: every request carries it, whichever way it takes, and nobody else ever sees it.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post, type Session } from '../harness/mcp-http.ts';
import { backend } from '../harness/resource.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type RecordingUpstream, startRecordingUpstream } from '../servers/recording-upstream.ts';

const FILE_SECRET = 's3cret-in-a-file';
const ROTATED = 's3cret-rotated';
const LATE = 's3cret-that-comes-late';
const VARIABLE = 's3cret-in-a-variable';
/** The secret's file is read every second, and the sidecars are told; the rest is for a busy machine. */
const ROTATION_MS = 5_000;
const CLIENT = { authorization: 'Bearer of-the-client', cookie: 'session=of-the-client', 'x-api-key': 'of-the-client' };

let home: string;
let upstream: RecordingUpstream;
let gateway: Gateway;

function writeSecret(name: string, value: string): void {
  const folder = join(home, 'secrets', name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'new'), `${value}\n`);
  renameSync(join(folder, 'new'), join(folder, 'token'));
}

const fromFile = (name: string) => ({ secretKeyRef: { name, key: 'token' } });
const bearer = { header: 'Authorization', prefix: 'Bearer ', valueFrom: fromFile('far') };
const initialize = {
  jsonrpc: '2.0',
  id: 'first',
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'proof', version: '1' } },
};

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'gw-'));
  writeSecret('far', FILE_SECRET);
  upstream = await startRecordingUpstream();
  const at = (name: string, upstreamAuth: object, spec: object = {}) => backend(name, { url: upstream.url(name), upstreamAuth, ...spec });
  gateway = await startGateway({
    home,
    env: { UPSTREAM_API_KEY: VARIABLE },
    resources: [
      at('bearer', bearer),
      at('key', { header: 'X-Api-Key', valueFrom: { env: 'UPSTREAM_API_KEY' } }),
      at('cookie', { header: 'Cookie', prefix: 'token=', valueFrom: fromFile('far') }),
      at('filtered', bearer, { access: { tools: { deny: ['delete*'] } }, trustToolHints: true }),
      at('late', { ...bearer, valueFrom: fromFile('late') }, { scaling: { startTimeout: '1s' } }),
      at('rotated', { ...bearer, valueFrom: fromFile('rotated') }),
    ],
  });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  rmSync(home, { recursive: true, force: true });
});

/** Every value of the header that the server has seen, each once. */
const seen = (name: string, header: string): string[][] => {
  const values = upstream.requests(name).map((request) => JSON.stringify(request.values(header)));
  return [...new Set(values)].map((text) => JSON.parse(text) as string[]);
};

/** A session and one of everything in it. */
async function useAll(name: string): Promise<Session> {
  const session = await openSession(gateway.backendUrl(name), { headers: CLIENT });
  expect((await session.send({ jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(200);
  await session.call('read');
  expect((await session.send({ jsonrpc: '2.0', id: 2, method: 'tools/list' })).text).toContain('read');
  const stream = await session.stream(AbortSignal.timeout(10_000));
  expect(stream.status).toBe(405);
  await stream.arrayBuffer();
  return session;
}

const CASES: [name: string, header: string, value: string][] = [
  ['bearer', 'authorization', `Bearer ${FILE_SECRET}`],
  ['key', 'x-api-key', VARIABLE],
  ['cookie', 'cookie', `token=${FILE_SECRET}`],
];

describe.each(CASES)('%s', (name, header, value) => {
  test('every request, of the client or of the gateway, carries the secret and not what the client sent', async () => {
    const session = await useAll(name);
    expect(await session.end()).toBe(200);
    expect((await post(gateway.backendUrl(name), { jsonrpc: '2.0', id: 3, method: 'ping' }, CLIENT)).status).toBe(200);
    expect(seen(name, header)).toEqual([[value]]);
    expect(upstream.requests(name).map(({ method }) => method)).toEqual(expect.arrayContaining(['GET', 'POST', 'DELETE']));
    for (const other of ['authorization', 'cookie'].filter((one) => one !== header)) expect(seen(name, other)).toEqual([[]]);
  });

  test('so do those of a recovery, and the request that is sent again after it', async () => {
    const session = await useAll(name);
    const before = upstream.requests(name).length;
    upstream.forgetSessions();
    await session.call('read');
    const since = upstream.requests(name).slice(before);
    const calls = since.filter(({ rpc }) => rpc === 'tools/call').map(({ status }) => status);
    expect(calls).toEqual([404, 200]);
    expect(since.map(({ rpc }) => rpc)).toEqual(expect.arrayContaining(['ping', 'initialize', 'notifications/initialized']));
    expect(seen(name, header)).toEqual([[value]]);
  });
});

test('a header that the client sends twice is replaced as a whole', async () => {
  const status = await new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'x-api-key': ['one', 'two'] };
    httpRequest(gateway.backendUrl('key'), { method: 'POST', headers }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    })
      .on('error', reject)
      .end(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }));
  });
  expect(status).toBe(200);
  expect(seen('key', 'x-api-key')).toEqual([[VARIABLE]]);
});

test('a list that is filtered is asked for with the secret, and so are the hints of tools', async () => {
  const session = await openSession(gateway.backendUrl('filtered'), { headers: CLIENT });
  const list = await session.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
  expect(list.messages[0]?.result).toMatchObject({ tools: [{ name: 'read' }] });
  expect(list.text).not.toContain('delete');
  const lists = () => upstream.requests('filtered').filter(({ rpc }) => rpc === 'tools/list').length;
  expect(lists()).toBe(1);
  await session.call('read');
  await waitFor('the hints to be read', () => lists() > 1);
  expect(seen('filtered', 'authorization')).toEqual([[`Bearer ${FILE_SECRET}`]]);
});

test('a server without its secret is not there, says why, and comes when the file comes', async () => {
  const url = gateway.backendUrl('late');
  const refused = await post(url, initialize, CLIENT);
  expect([refused.status, refused.messages[0]?.id, refused.messages[0]?.error?.code]).toEqual([503, 'first', -32603]);
  expect(refused.text).not.toContain('secrets');
  const file = join(home, 'secrets', 'late', 'token');
  expect(await (await fetch(`${gateway.admin}/status`)).text()).toContain(`cannot be read (ENOENT): ${file}`);
  expect(upstream.requests('late')).toEqual([]);
  writeSecret('late', LATE);
  await waitFor('a session', async () => (await post(url, initialize, CLIENT)).status === 200);
  expect(seen('late', 'authorization')).toEqual([[`Bearer ${LATE}`]]);
});

test('a secret that changes is used from then on, in sessions that were open before', async () => {
  writeSecret('rotated', FILE_SECRET);
  const session = await openSession(gateway.backendUrl('rotated'), { headers: CLIENT });
  await session.call('read');
  const last = () =>
    upstream
      .requests('rotated')
      .findLast(({ rpc }) => rpc === 'tools/call')
      ?.values('authorization');
  expect(last()).toEqual([`Bearer ${FILE_SECRET}`]);
  writeSecret('rotated', ROTATED);
  const use = async () => {
    await session.call('read');
    return last()?.[0] === `Bearer ${ROTATED}`;
  };
  await waitFor('the new secret', use, { timeoutMs: ROTATION_MS });
  expect(seen('rotated', 'authorization')).toEqual([[`Bearer ${FILE_SECRET}`], [`Bearer ${ROTATED}`]]);
});

test('no secret is in status, metrics, logs or any other file of the gateway', async () => {
  const admin = await Promise.all(['/status', '/metrics'].map(async (path) => (await fetch(gateway.admin + path)).text()));
  const files = readdirSync(home, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('secrets'))
    .map((name) => join(home, name))
    .filter((file) => statSync(file).isFile())
    .map((file) => readFileSync(file, 'latin1'));
  expect(files.length).toBeGreaterThan(3);
  const everything = [...admin, gateway.logs(), ...files].join('\n');
  for (const secret of [FILE_SECRET, ROTATED, LATE, VARIABLE]) expect(everything).not.toContain(secret);
});
