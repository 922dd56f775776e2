// The whole table of tokens through the real gateway: each gets its answer and its line in the log, and none is ever seen again.

import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWorldKeys, goodClaims, publishedKeys, type TokenWorld, tokenCases } from '../fixtures/tokens/cases.ts';
import { signToken } from '../fixtures/tokens/keys.ts';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { type HttpAnswer, openSession, post } from '../harness/mcp-http.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type RecordingUpstream, startRecordingUpstream } from '../servers/recording-upstream.ts';

/** No claim or key name that the log quotes holds so many characters of a token in a row. */
const WINDOW = 24;
const AUDIENCE = 'https://mcp.example.com';
const SECRETS = { cookie: 'a=chocolate-chip-of-the-client', 'proxy-authorization': 'Basic c2VjcmV0LW9mLXRoZS1jbGllbnQ=' };

const keys = await createWorldKeys();
const asked: string[] = [];
const answers: string[] = [];
const sent = new Set<string>();
const outcomes = new Map<string, Outcome>();
let issuers: Server;
let issuer: string;
let upstream: RecordingUpstream;
let gateway: Gateway;

const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
};
const world = (): TokenWorld => ({ ...keys, issuer, audience: AUDIENCE, attackerUrl: new URL('/attacker', issuer).href, now: Date.now() });
const goodToken = (claims: Readonly<Record<string, unknown>> = {}): string => signToken(keys.rsa, goodClaims(world(), claims));

/** `token` in the headers of a request, noted so that it can be looked for. */
function bearer(token: string): Readonly<Record<string, string>> {
  sent.add(token);
  return { authorization: `Bearer ${token}`, ...SECRETS };
}

async function ask(name: string, headers: Readonly<Record<string, string>>): Promise<HttpAnswer> {
  const answer = await post(gateway.backendUrl(name), initialize, headers);
  answers.push(JSON.stringify([...answer.headers]), answer.text);
  return answer;
}

interface Refusal {
  readonly msg: string;
  readonly requestId: string;
  readonly reason: string;
  readonly detail?: string;
}

interface Outcome {
  readonly answer: HttpAnswer;
  readonly refusal: Refusal | undefined;
}

/** The lines `token refused` so far. */
function refusals(): Refusal[] {
  const log = readFileSync(join(gateway.home, 'logs', 'gateway.log'), 'utf8');
  const lines = log.split('\n').filter((line) => line.startsWith('{') && line.includes('"token refused"') && line.endsWith('}'));
  return lines.map((line) => JSON.parse(line) as Refusal);
}

/** The line of a request that is refused; the requests of this file come one after another. */
async function refusalOf(request: () => Promise<HttpAnswer>): Promise<Outcome> {
  const before = refusals().length;
  const answer = await request();
  return { answer, refusal: await waitFor('the line of the refusal', () => refusals()[before]) };
}

/** What becomes of the cases of the table: asked in their order, so that the lines of the log are in it too. */
async function askAll(): Promise<void> {
  const before = refusals().length;
  const bad: string[] = [];
  for (const { name, token } of tokenCases) {
    const answer = await ask('recorded', bearer(token(world())));
    outcomes.set(name, { answer, refusal: undefined });
    if (answer.status !== 200) bad.push(name);
  }
  await waitFor('the lines of all refusals', () => refusals().length === before + bad.length);
  const lines = refusals().slice(before);
  for (const [at, name] of bad.entries()) outcomes.set(name, { ...(outcomes.get(name) as Outcome), refusal: lines[at] });
}

const challenge = (name: string, more = ''): string =>
  `Bearer resource_metadata="${gateway.url}/.well-known/oauth-protected-resource/adapters/${name}/mcp"${more}`;
const unauthorized = (message: string) => ({ jsonrpc: '2.0', id: null, error: { code: -32000, message } });

beforeAll(async () => {
  issuers = createServer((request, response) => {
    asked.push(request.url ?? '');
    const keySet = request.url === '/tenants/x/keys';
    const documents = keySet ? publishedKeys(keys) : { issuer, jwks_uri: `${issuer}keys` };
    response.end(JSON.stringify(documents));
  });
  await new Promise<void>((resolve) => issuers.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(issuers.address() as AddressInfo).port}/tenants/x/`;
  upstream = await startRecordingUpstream();
  const access = { tenants: ['*'] };
  gateway = await startGateway({
    workers: 1,
    env: {
      MCP_GATEWAY_ISSUERS: JSON.stringify([{ issuer, audiences: [AUDIENCE] }]),
      MCP_GATEWAY_LOG_LEVEL: 'trace',
      MCP_GATEWAY_AUDIT_LOG: 'stdout',
    },
    resources: [
      backend('recorded', { url: upstream.url('recorded'), access }),
      backend('ruled', { url: upstream.url('ruled'), access: { ...access, tools: { deny: ['delete'] } } }),
      backend('scoped', { url: upstream.url('scoped'), access: { ...access, scopes: ['mcp:read', 'mcp:write'] } }),
      serverBackend('counter', 'counter-server', { access }),
    ],
  });
  await waitFor('the backend', async () => (await ask('recorded', bearer(goodToken()))).status === 200, { timeoutMs: 30_000 });
  await askAll();
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  issuers?.closeAllConnections();
  issuers?.close();
});

describe('a token', () => {
  test.each(tokenCases)('$name: $status', ({ name, status, code }) => {
    const { answer, refusal } = outcomes.get(name) as Outcome;
    expect(answer.status).toBe(status);
    if (code === undefined) {
      expect(answer.headers.get('mcp-session-id')).toBeTruthy();
      return;
    }
    expect(answer.headers.get('www-authenticate')).toBe(challenge('recorded', ', error="invalid_token"'));
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(JSON.parse(answer.text)).toEqual(unauthorized('Unauthorized: the token is not accepted'));
    expect(refusal?.reason).toBe(code);
  });

  test('whose issuer lacks its slash: the log says which two texts differ', async () => {
    const iss = issuer.slice(0, -1);
    const { refusal } = await refusalOf(() => ask('recorded', bearer(goodToken({ iss }))));
    expect(refusal?.detail).toBe(
      `its issuer is "${iss}", but "${issuer}" is configured: they differ in the slash at the end, which counts`,
    );
  });

  test.each([
    ['with nothing in it', 'Bearer'],
    ['with something behind it', 'Bearer a.b.c d'],
    ['in letters that no token has', 'Bearer ä.ö.ü'],
  ])('%s: 401', async (_, authorization) => {
    const headers = { authorization: Buffer.from(authorization).toString('latin1') };
    const { answer, refusal } = await refusalOf(() => ask('recorded', headers));
    expect([answer.status, refusal?.reason]).toEqual([401, 'token_malformed']);
  });

  test('is asked for by the challenge, which has no error then, and names the scopes of the backend', async () => {
    const missing = await ask('scoped', {});
    expect([missing.status, JSON.parse(missing.text)]).toEqual([401, unauthorized('Unauthorized')]);
    expect(missing.headers.get('www-authenticate')).toBe(challenge('scoped', ', scope="mcp:read mcp:write"'));
    const bad = await ask('scoped', bearer(goodToken({ aud: 'https://other.example.com' })));
    expect(bad.headers.get('www-authenticate')).toBe(challenge('scoped', ', scope="mcp:read mcp:write", error="invalid_token"'));
  });

  test('without a scope of the backend: 403 and all that it needs', async () => {
    const answer = await ask('scoped', bearer(goodToken({ scope: 'mcp:read' })));
    expect([answer.status, JSON.parse(answer.text)]).toEqual([403, unauthorized('Forbidden: the token lacks a scope')]);
    expect(answer.headers.get('www-authenticate')).toBe(challenge('scoped', ', scope="mcp:read mcp:write", error="insufficient_scope"'));
    expect((await ask('scoped', bearer(goodToken({ scope: 'mcp:write mcp:read' })))).status).toBe(200);
  });

  test.each(['GET', 'DELETE'])('%s needs one too', async (method) => {
    const headers = { accept: 'text/event-stream', ...bearer(goodToken({ exp: 1 })) };
    const answer = await fetch(gateway.backendUrl('recorded'), { method, headers });
    answers.push(await answer.text());
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, challenge('recorded', ', error="invalid_token"')]);
  });
});

describe('no server sees what the client proves itself with', () => {
  const recorded = (name: string) => {
    const requests = upstream.requests(name);
    return ['authorization', 'proxy-authorization', 'cookie'].flatMap((header) => requests.flatMap(({ values }) => values(header)));
  };

  test('in a call of a tool', async () => {
    const session = await openSession(gateway.backendUrl('counter'), { headers: bearer(goodToken()) });
    const { headers } = (await session.call('whoami')) as unknown as { headers: Record<string, string> };
    expect(Object.keys(headers)).toEqual(expect.arrayContaining(['x-mcp-subject', 'x-mcp-roles']));
    expect(Object.keys(headers).filter((name) => /authorization|cookie/.test(name))).toEqual([]);
    answers.push(JSON.stringify(headers));
  });

  test('nor when the session is recovered, nor when the gateway asks on its own', async () => {
    for (const name of ['recorded', 'ruled']) {
      const session = await openSession(gateway.backendUrl(name), { headers: bearer(goodToken()) });
      await session.send({ jsonrpc: '2.0', id: 2, method: 'tools/list' });
      upstream.forgetSessions();
      await session.call('read');
      expect(await session.end()).toBe(200);
      const calls = upstream.requests(name).filter(({ rpc }) => rpc === 'tools/call');
      expect(calls.map(({ status }) => status)).toEqual([404, 200]);
      expect(recorded(name)).toEqual([]);
    }
  });
});

test('no token, nor a part of one, is in any answer, log, metric or file', async () => {
  const open = (path: string): Promise<string> => fetch(`${gateway.admin}${path}`).then((answer) => answer.text());
  const files = readdirSync(gateway.home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const places: (readonly [string, string])[] = [
    ['answers', answers.join('\n')],
    ['output', gateway.logs()],
    ['metrics', await open('/metrics')],
    ['status', await open('/status')],
    ...files.map(({ name, parentPath }) => [name, readFileSync(join(parentPath, name), 'utf8')] as const),
  ];
  // All of it but the header, which holds no secret: its beginning, its middle and its end.
  const parts = [...sent].flatMap((token) => (token.includes('.') ? token.split('.').slice(1) : [token]));
  const long = [...parts, ...Object.values(SECRETS)].filter((part) => part.length >= WINDOW);
  const windows = long.flatMap((part) => [0, (part.length - WINDOW) >> 1, part.length - WINDOW].map((at) => part.substr(at, WINDOW)));
  expect(windows.length).toBeGreaterThan(3 * tokenCases.length);
  expect(places.map(([name]) => name)).toEqual(expect.arrayContaining(['gateway.log', 'gateway.json']));
  for (const [name, text] of places) {
    const found = windows.find((window) => text.includes(window));
    expect(found, name).toBeUndefined();
  }
});

test('nothing that a token points at was read', () => {
  expect(asked).not.toContain('/attacker');
  expect(new Set(asked)).toEqual(new Set(['/tenants/x/.well-known/openid-configuration', '/tenants/x/keys']));
});
