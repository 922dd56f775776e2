// The OpenAPI document: it is valid, a client generated from it drives every operation, and every answer is what it says.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { problemOfValues } from '../harness/chart-values.ts';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession } from '../harness/mcp-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { waitFor } from '../harness/wait-for.ts';
import {
  type AnswerCheck,
  createAnswerCheck,
  type OpenApiDocument,
  operationsOf,
  type ResponseObject,
  resolved,
  type SeenAnswer,
  tool,
} from './openapi-answers.ts';
import { type Call, generateClient, watchAnswers } from './openapi-client.ts';
import { type RandomRequest, randomRequests } from './random-requests.ts';
import { createSender, type Sender } from './sender.ts';

const scratch = createScratch();
let gateway: Gateway;
let upstream: ServerProcess;
let token: string;
let document: OpenApiDocument;
let check: AnswerCheck;

beforeAll(async () => {
  upstream = await startServer('counter-server', { COUNTER_JOURNAL: scratch.journalPath('remote') });
  gateway = await startGateway({
    resources: [serverBackend('counter', 'counter-server', { env: { COUNTER_JOURNAL: scratch.journalPath('counter') } })],
    // Nothing else may be registered: what is sent at random cannot run anything.
    env: { MCP_GATEWAY_URL_ALLOW_LIST: '127.0.0.1', MCP_GATEWAY_ALLOWED_IMAGES: '' },
  });
  token = readFileSync(join(gateway.home, 'token'), 'utf8').trim();
  const answer = await fetch(`${gateway.admin}/openapi.json`, { headers: { authorization: `Bearer ${token}` } });
  document = (await answer.json()) as OpenApiDocument;
  check = await createAnswerCheck(document);
});
afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  scratch.remove();
});

describe('the document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const { Validator } = (await tool('@seriousme/openapi-schema-validator/index.js')) as {
      Validator: new () => { readonly version: string; validate(document: object): Promise<{ valid: boolean; errors?: unknown }> };
    };
    const validator = new Validator();
    expect(await validator.validate(structuredClone(document))).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  test('is the same at both addresses, and only for who has the token', async () => {
    const headers = { authorization: `Bearer ${token}` };
    expect(await (await fetch(`${gateway.url}/openapi.json`, { headers })).json()).toEqual(document);
    for (const base of [gateway.admin, gateway.url]) expect((await fetch(`${base}/openapi.json`)).status).toBe(401);
  });

  test('says what each operation is, in sentences and words that are its own', () => {
    const operations = operationsOf(document).map(({ operation }) => operation);
    for (const each of [operations.map(({ operationId }) => operationId), operations.map(({ summary }) => summary)])
      expect(new Set(each).size).toBe(operations.length);
    const known = document.tags.map(({ name }) => name);
    for (const { operationId, summary, description = 'None.', tags, parameters = [] } of operations) {
      expect(operationId).toMatch(/^[a-z][A-Za-z]+$/);
      expect(summary).toMatch(/^[A-Z][^.]{10,}[^.]$/);
      expect(description).toMatch(/^[A-Z].*\.$/);
      expect(known).toEqual(expect.arrayContaining([...tags]));
      for (const { name, description: meaning, schema } of parameters) {
        expect([operationId, name, meaning]).toEqual([operationId, name, expect.stringMatching(/^[A-Z].*\.$/)]);
        expect([operationId, name, schema]).toEqual([operationId, name, expect.objectContaining({ type: expect.any(String) })]);
      }
    }
  });

  test('every part of a path in braces is described, with the form that it has to have', () => {
    for (const { path, operation } of operationsOf(document)) {
      const inPath = (operation.parameters ?? []).filter((each) => each.in === 'path');
      expect(inPath.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
      for (const { required, schema } of inPath)
        expect([required, schema]).toEqual([true, { type: 'string', pattern: expect.any(String), ...schema }]);
    }
  });

  test('who is refused learns why in one form everywhere, and how to show a token', () => {
    for (const { operation } of operationsOf(document)) {
      const refusals = Object.entries(operation.responses).filter(([status]) => Number(status) >= 400);
      for (const [status, answer] of refusals) {
        const { content, headers = {}, description } = resolved<ResponseObject>(document, answer);
        expect([status, Object.keys(content ?? {})]).toEqual([status, ['application/problem+json']]);
        expect(description).toMatch(/^[A-Z].*\.$/);
        if (status === '401') expect(Object.keys(headers)).toEqual(['WWW-Authenticate']);
      }
      expect(refusals.map(([status]) => status)).toEqual(expect.arrayContaining(['400', '401', '403', '413', '503']));
    }
  });
});

describe('a client that is generated from the document', () => {
  let clientOf: Awaited<ReturnType<typeof generateClient>>;
  beforeAll(async () => {
    clientOf = await generateClient(document, scratch.folder);
  });

  test.each(['admin', 'url'] as const)(
    'drives every operation at the %s address, and every answer is as the document says',
    async (address) => {
      const base = gateway[address];
      const all = operationsOf(document).map(({ operation }) => operation.operationId);
      const { seen, stop } = watchAnswers(base);
      try {
        await driveAll(clientOf(base, token), seen);
        await driveRefusals(clientOf(base, token));
        const stranger = clientOf(base, 'wrong');
        const options = { name: 'counter', key: 'x', issuer: 'x', subject: 'x', requestBody: {} };
        for (const operationId of all) await expect(stranger(operationId, options)).rejects.toMatchObject({ status: 401 });
      } finally {
        stop();
      }
      const described = seen.filter(({ path }) => !path.endsWith('/mcp'));
      expect(described.flatMap(check.problems)).toEqual([]);
      const driven = described
        .filter(({ status }) => status < 300)
        .map(({ method, path }) => check.find(method, path)?.operation.operationId);
      expect(all.filter((id) => !driven.includes(id))).toEqual([]);
      const refused = [400, 401, 403, 404, 409, 412];
      expect(refused.filter((status) => described.every((answer) => answer.status !== status))).toEqual([]);
    },
  );
});

const NAME = 'remote';
const TENANT = 'blue';

/** Each operation once at least, with the answer that is no refusal. Nothing is left behind. */
async function driveAll(call: Call, seen: readonly SeenAnswer[]): Promise<void> {
  const header = (name: string) => seen.at(-1)?.headers.get(name);
  const registered = { name: NAME, image: upstream.url, description: 'Counts.', trustToolHints: true };
  expect(await call('createAdapter', { requestBody: registered })).toMatchObject({ ...registered, source: 'api' });
  expect(header('location')).toBe(`/adapters/${NAME}`);
  const ifMatch = header('etag');
  expect(await call('listAdapters', { limit: 1 })).toMatchObject([{ name: 'counter' }]);
  expect(header('link')).toBe('</adapters?limit=1&after=counter>; rel="next"');
  expect(await call('listAdapters', { after: 'counter' })).toMatchObject([{ name: NAME }]);
  const read = await call<object>('getAdapter', { name: NAME });
  expect(header('etag')).toBe(ifMatch);
  // What was read is taken back, changed in one place.
  const changed = { ...read, description: 'Counts again.' };
  expect(await call('updateAdapter', { name: NAME, ifMatch, requestBody: changed })).toMatchObject({ description: 'Counts again.' });
  expect(header('etag')).not.toBe(ifMatch);
  await waitFor('the backend to be reached', async () => {
    const { replicaStatus } = await call<{ replicaStatus: string }>('getAdapterStatus', { name: NAME });
    return replicaStatus === 'healthy';
  });

  type Listed = { readonly sessions: readonly Readonly<Record<string, string>>[] };
  const open = async () => (await call<Listed>('listSessions', { backend: NAME })).sessions;
  // What a caller begins in the second of its revocation counts as begun before it.
  const begin = () => waitFor('a new session', () => openSession(gateway.backendUrl(NAME)));
  await begin();
  const [one] = await open();
  expect(await call('endSession', { key: one?.['key'] })).toEqual({ ended: 1 });
  await begin();
  const [{ issuer, subject } = {}] = await open();
  expect(await call('endSessionsOfCaller', { issuer, subject })).toMatchObject({ ended: expect.any(Number) });
  expect(await open()).toEqual([]);

  await waitFor('a log line', async () => (await call<string>('getAdapterLogs', { name: 'counter', lines: 5 })).includes('listening'));
  expect(await call('restartAdapter', { name: 'counter' })).toEqual({ name: 'counter', restarting: true });

  const tenant = { name: TENANT, quotas: [{ requests: 10, per: '1m' }], limits: { sessions: 3 } };
  expect(await call('createTenant', { requestBody: tenant })).toMatchObject({ name: TENANT, limits: { sessions: 3 } });
  expect(header('location')).toBe(`/tenants/${TENANT}`);
  expect(await call('listTenants')).toMatchObject({ tenants: [{ name: TENANT }] });
  const known = await call<object>('getTenant', { name: TENANT });
  const requestBody = { ...known, priority: 7 };
  expect(await call('updateTenant', { name: TENANT, ifMatch: header('etag'), requestBody })).toMatchObject({ priority: 7 });
  const adjustment = { quotas: [{ requests: 20, per: '1m' }], limits: { sessions: null } };
  expect(await call('adjustTenant', { name: TENANT, ifMatch: header('etag'), requestBody: adjustment })).toMatchObject({
    quotas: [{ requests: 20, per: '1m' }],
    limits: { sessions: null },
  });
  const wanted = { backends: [{ name: NAME }], tenants: [{ name: TENANT }], publicUrl: 'https://mcp.example.com' };
  const { values } = await call<{ values: string }>('makeHelmValues', { requestBody: wanted });
  expect(problemOfValues(values)).toBeUndefined();
  await call('deleteTenant', { name: TENANT, ifMatch: header('etag') });
  await call('deleteAdapter', { name: NAME });
}

async function driveRefusals(call: Call): Promise<void> {
  const refused = (operationId: string, options: Readonly<Record<string, unknown>>, status: number): Promise<void> =>
    expect(call(operationId, options)).rejects.toMatchObject({ status });
  const requestBody = { name: 'counter', image: 'https://mcp.example.com/' };
  await refused('createAdapter', { requestBody }, 409);
  await refused('createAdapter', { requestBody: { name: 'other', image: 'npm:pkg@1.0.0' } }, 403);
  await refused('createAdapter', { requestBody: { ...requestBody, port: 'many' } }, 400);
  await refused('updateAdapter', { name: 'counter', requestBody }, 409);
  await refused('deleteAdapter', { name: 'none' }, 404);
  await refused('listAdapters', { limit: 0 }, 400);
  await call('createTenant', { requestBody: { name: TENANT } });
  await refused('createTenant', { requestBody: { name: TENANT } }, 409);
  const old = { name: TENANT, ifMatch: '"old"', requestBody: {} };
  for (const operationId of ['updateTenant', 'adjustTenant', 'deleteTenant']) await refused(operationId, old, 412);
  await call('deleteTenant', { name: TENANT });
  await refused('getTenant', { name: TENANT }, 404);
  await refused('endSession', { key: 'none' }, 404);
  await refused('makeHelmValues', { requestBody: { backends: [{ name: 'none' }] } }, 404);
  await refused('makeHelmValues', { requestBody: { publicUrl: 'nowhere' } }, 400);
}

/** A path that is none, or means another one: it may be refused, or taken for that, before anybody looks at it. */
const isElsewhere = (path: string): boolean => /[^!-~]|%2f|%5c|\/(%2e|\.){1,2}(\/|\?|$)/i.test(path);

describe.each(['admin', 'url'] as const)('whatever is sent to the %s address', (address) => {
  /** Another one: RANDOM_REQUESTS_SEED. A failure names its seed, and the request. */
  const seed = Number(process.env['RANDOM_REQUESTS_SEED'] ?? 20_261);
  const NUMBER = 600;
  let sender: Sender;
  beforeAll(() => {
    sender = createSender(gateway[address]);
  });
  afterAll(() => sender.close());

  const authorized = () => ({ authorization: `Bearer ${token}`, 'content-type': 'application/json' });
  const ask = (line: string, body?: string) => {
    const [method = '', target = ''] = line.split(' ');
    return sender.send({ method, target, headers: authorized(), body: body === undefined ? undefined : Buffer.from(body) });
  };

  test('random requests made from the document get no 5xx, and nothing that it does not say', { timeout: 180_000 }, async () => {
    const processes = gateway.sidecarPids();
    const statuses = new Set<number>();
    const look = async (random: RandomRequest): Promise<void> => {
      const { status, headers, text } = await sender.send(random);
      statuses.add(status);
      expect(status, text).toBeLessThan(500);
      const { method, target: path } = random;
      if (text !== undefined && !isElsewhere(path) && check.find(method, path))
        expect(check.problems({ method, path, status, headers, text })).toEqual([]);
    };
    await fc.assert(fc.asyncProperty(randomRequests(document, token), look), { seed, numRuns: NUMBER, endOnFailure: true });
    // They came as far as that, and not all of them were nonsense.
    expect([200, 201, 204, 400, 401, 403, 404, 405, 409, 412, 413, 415].filter((status) => !statuses.has(status))).toEqual([]);
    expect(gateway.sidecarPids()).toEqual(processes);
    for (const kind of ['adapters', 'tenants']) for (const name of ['one', 'two', 'three']) await ask(`DELETE /${kind}/${name}`);
  });

  test.each(['POST /tenants', 'PUT /tenants/deep', 'PATCH /tenants/deep', 'POST /adapters'])(
    '%s with a body that is nested deeper than anything can follow is a 400',
    async (line) => {
      await ask('POST /tenants', '{"name":"deep"}');
      const depth = 40_000;
      const nested = [`${'['.repeat(depth)}${']'.repeat(depth)}`, `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`];
      for (const deep of nested) {
        for (const body of [deep, `{"match":${deep}}`, `{"name":${deep}}`]) expect(await ask(line, body)).toMatchObject({ status: 400 });
      }
      expect(await ask('DELETE /tenants/deep')).toMatchObject({ status: 204 });
    },
  );

  test.each([
    ['POST /adapters', 413],
    ['DELETE /adapters/counter', 413],
    ['GET /adapters', 413],
    ['PUT /adapters', 405],
    ['POST /adapters/counter/unknown', 404],
    ['POST /openapi.json', 405],
  ])('%s with a body that nobody reads to its end is a %i every time', async (line, status) => {
    const body = JSON.stringify('x'.repeat(1_500_000));
    for (let times = 0; times < 4; times += 1) expect(await ask(line, body)).toMatchObject({ status });
  });

  test('the gateway works as before, and notes no mistake of its own', async () => {
    expect(await ask('GET /adapters')).toMatchObject({ status: 200, text: expect.stringContaining('"name":"counter"') });
    await openSession(gateway.backendUrl('counter'));
    expect(gateway.logs()).not.toMatch(/(control|admin) request failed/);
  });
});
