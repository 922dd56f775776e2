// The documents and challenges that lead a client to its login: under whatever URL it knows the gateway, from whatever page it asks.

import { extractWWWAuthenticateParams } from '@modelcontextprotocol/sdk/client/auth.js';
import { checkResourceAllowed } from '@modelcontextprotocol/sdk/shared/auth-utils.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../harness/free-port.ts';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { sendRaw } from '../harness/raw-http.ts';
import { backend } from '../harness/resource.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type RecordingUpstream, startRecordingUpstream } from '../servers/recording-upstream.ts';

const PAGE = 'https://app.example.com';
const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const MCP = '/adapters/x/mcp';
type Headers = Readonly<Record<string, string>>;

let issuer: TestIssuer;
let upstream: RecordingUpstream;
/** Reached directly. */
let direct: Gateway;
/** Behind a proxy whose headers are believed. */
let proxied: Gateway;
/** Behind a proxy that takes off a path; it listens on all addresses. */
let named: Gateway;
let namedUrl: string;

const initialize = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
});

const open = (base: string, headers: Headers = {}): Promise<Response> =>
  fetch(`${base}${MCP}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: initialize,
  });

interface Metadata {
  readonly resource: string;
  readonly authorization_servers: readonly string[];
  readonly scopes_supported?: readonly string[];
}

async function metadataAt(url: string, headers: Headers = {}): Promise<Metadata> {
  const answer = await fetch(url, { headers });
  expect(answer.status, url).toBe(200);
  return (await answer.json()) as Metadata;
}

beforeAll(async () => {
  [issuer, upstream] = await Promise.all([startIssuer({ audiences: [] }), startRecordingUpstream()]);
  const resources = [
    backend('x', { url: upstream.url('x'), access: { tenants: ['*'], scopes: ['mcp:read'] } }),
    backend('y', { url: upstream.url('y'), access: { tenants: ['*'] } }),
  ];
  const port = await freePort();
  namedUrl = `http://127.0.0.1:${port}`;
  [direct, proxied, named] = await Promise.all([
    startGateway({ resources, env: { ...issuer.env, MCP_GATEWAY_ALLOWED_ORIGINS: PAGE } }),
    startGateway({
      resources,
      env: { ...issuer.env, MCP_GATEWAY_TRUSTED_PROXIES: '1', MCP_GATEWAY_ALLOWED_HOSTS: 'mcp.example.com' },
    }),
    startGateway({
      resources,
      env: { ...issuer.env, MCP_GATEWAY_PUBLIC_URL: 'https://mcp.example.com/tools/' },
      args: ['--listen', `0.0.0.0:${port}`],
      wait: false,
    }),
  ]);
  await waitFor('the gateway on all addresses', async () => (await fetch(`${namedUrl}/readyz`)).status === 200, { timeoutMs: 30_000 });
});

afterAll(async () => {
  await Promise.all([direct?.stop(), proxied?.stop(), named?.stop()]);
  await upstream?.stop();
  await issuer?.stop();
});

const scope = { scope: 'mcp:read' };

describe('without a proxy', () => {
  test('the challenge leads to a document for the very URL that was asked for, and a token for it opens the backend', async () => {
    const serverUrl = `${direct.url}${MCP}`;
    const { resourceMetadataUrl, scope: asked } = extractWWWAuthenticateParams(await open(direct.url));
    expect(resourceMetadataUrl?.href).toBe(`${direct.url}${WELL_KNOWN}${MCP}`);
    expect(asked).toBe('mcp:read');
    const document = await metadataAt(String(resourceMetadataUrl));
    expect(document).toEqual({
      resource: serverUrl,
      authorization_servers: [issuer.issuer],
      bearer_methods_supported: ['header'],
      scopes_supported: ['mcp:read'],
      resource_name: 'MCP gateway',
    });
    expect(checkResourceAllowed({ requestedResource: serverUrl, configuredResource: document.resource })).toBe(true);
    expect((await open(direct.url, issuer.bearer('ann', { aud: document.resource, ...scope }))).status).toBe(200);
  });

  test('each backend has its own, and the gateway one for all; a name that does not exist cannot be told from one that does', async () => {
    expect((await metadataAt(`${direct.url}${WELL_KNOWN}/adapters/y/mcp`)).resource).toBe(`${direct.url}/adapters/y/mcp`);
    expect((await metadataAt(`${direct.url}${WELL_KNOWN}/adapters/nobody/mcp`)).resource).toBe(`${direct.url}/adapters/nobody/mcp`);
    const all = await metadataAt(`${direct.url}${WELL_KNOWN}`);
    expect(all).toMatchObject({ resource: direct.url, authorization_servers: [issuer.issuer] });
    expect(checkResourceAllowed({ requestedResource: `${direct.url}${MCP}`, configuredResource: all.resource })).toBe(true);
  });

  test('forwarded headers are not believed', async () => {
    const lie = { 'x-forwarded-host': 'evil.example.com', 'x-forwarded-proto': 'https', forwarded: 'host=evil.example.com;proto=https' };
    expect((await metadataAt(`${direct.url}${WELL_KNOWN}${MCP}`, lie)).resource).toBe(`${direct.url}${MCP}`);
    expect((await open(direct.url, lie)).headers.get('www-authenticate')).toContain(`"${direct.url}${WELL_KNOWN}${MCP}"`);
    const aud = 'https://evil.example.com/adapters/x/mcp';
    expect((await open(direct.url, { ...lie, ...issuer.bearer('ann', { aud, ...scope }) })).status).toBe(401);
  });

  test.each([
    ['localhost', 200, 'http://localhost/adapters/x/mcp'],
    ['LocalHost:80', 200, 'http://localhost/adapters/x/mcp'],
    ['[::1]:81', 200, 'http://[::1]:81/adapters/x/mcp'],
    ['localhost:port', 403, undefined],
    ['localhost:99999999', 403, undefined],
    ['evil.example.com', 403, undefined],
  ])('Host %s: %s', async (host, status, resource) => {
    const url = `${direct.url}${WELL_KNOWN}${MCP}`;
    const document = await sendRaw({ url, method: 'GET', bare: true, headers: [['Host', host]] });
    const body = JSON.parse((await document.body()).toString()) as Partial<Metadata>;
    expect([document.status, body.resource]).toEqual([status, resource]);
    const headers = [
      ['Host', host],
      ['Content-Type', 'application/json'],
      ['Content-Length', '2'],
    ] as const;
    const challenged = await sendRaw({ url: `${direct.url}${MCP}`, bare: true, headers, body: '{}' });
    const expected = resource && `Bearer resource_metadata="${resource.replace('/adapters', `${WELL_KNOWN}/adapters`)}", scope="mcp:read"`;
    expect([challenged.status, challenged.header('www-authenticate')]).toEqual([status === 200 ? 401 : 403, expected]);
    await challenged.body();
  });
});

describe('what clients try besides', () => {
  const found = [WELL_KNOWN, `${WELL_KNOWN}${MCP}`, `${WELL_KNOWN}${MCP}?tenant=1`];
  const missing = [
    ...['', '/mcp', MCP].flatMap((path) => [`/.well-known/oauth-authorization-server${path}`, `/.well-known/openid-configuration${path}`]),
    `${WELL_KNOWN}/mcp`,
    `${MCP}/.well-known/openid-configuration`,
    `${MCP}/.well-known/oauth-authorization-server`,
    '/mcp/.well-known/openid-configuration',
    '/authorize',
    '/register',
  ];
  test.each([...found.map((path) => [path, 200] as const), ...missing.map((path) => [path, 404] as const)])(
    '%s: %s, as JSON and without a token',
    async (path, status) => {
      for (const method of ['GET', 'HEAD']) {
        const answer = await fetch(`${direct.url}${path}`, { method, headers: { 'mcp-protocol-version': '2025-11-25' } });
        expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'application/json']);
        expect(answer.headers.get('www-authenticate')).toBeNull();
        const body = await answer.text();
        if (method === 'HEAD') expect(body).toBe('');
        else expect(() => JSON.parse(body)).not.toThrow();
      }
    },
  );
});

describe('a page of an allowed origin', () => {
  const from = (origin: string): Headers => ({ origin });
  const preflight = (path: string, origin: string, names: string): Promise<Response> =>
    fetch(`${direct.url}${path}`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': names },
    });
  const allows = (answer: Response, names: string): boolean => {
    const allowed = answer.headers.get('access-control-allow-headers')?.toLowerCase().split(', ') ?? [];
    return names.split(',').every((name) => allowed.includes(name));
  };

  test('may ask before it calls, and see what it has to do', async () => {
    const names = 'authorization,content-type,mcp-protocol-version,mcp-session-id';
    const asked = await preflight(MCP, PAGE, names);
    expect([asked.status, asked.headers.get('access-control-allow-origin'), allows(asked, names)]).toEqual([204, PAGE, true]);
    expect((await preflight(MCP, 'https://evil.example.com', names)).status).toBe(403);
    for (const headers of [from(PAGE), { ...from(PAGE), ...issuer.bearer('ann', { aud: `${direct.url}${MCP}` }) }]) {
      const challenged = await open(direct.url, headers);
      expect([401, 403]).toContain(challenged.status);
      expect(challenged.headers.get('access-control-allow-origin')).toBe(PAGE);
      expect(challenged.headers.get('access-control-expose-headers')).toMatch(/WWW-Authenticate/);
    }
    const foreign = await open(direct.url, from('https://evil.example.com'));
    expect([foreign.status, foreign.headers.get('access-control-allow-origin')]).toEqual([403, null]);
  });

  test.each([WELL_KNOWN, `${WELL_KNOWN}${MCP}`, '/.well-known/oauth-authorization-server'])('may read %s', async (path) => {
    const asked = await preflight(path, PAGE, 'mcp-protocol-version');
    expect([asked.ok, asked.headers.get('access-control-allow-origin'), allows(asked, 'mcp-protocol-version')]).toEqual([true, '*', true]);
    const answer = await fetch(`${direct.url}${path}`, { headers: from(PAGE) });
    expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  });
});

describe('behind a proxy that is trusted', () => {
  const proxy = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'mcp.example.com', 'x-forwarded-for': '192.0.2.7' };
  const resource = 'https://mcp.example.com/adapters/x/mcp';

  test.each([
    ['its name', proxy],
    ['its name with the port that goes without saying', { ...proxy, 'x-forwarded-host': 'MCP.example.com:443' }],
    ['the first of several names', { ...proxy, 'x-forwarded-host': 'mcp.example.com, inner.example' }],
  ])('%s is the one of documents, challenges and audiences', async (_, headers) => {
    expect((await metadataAt(`${proxied.url}${WELL_KNOWN}${MCP}`, headers)).resource).toBe(resource);
    const challenged = await open(proxied.url, headers);
    expect(challenged.headers.get('www-authenticate')).toContain(`"https://mcp.example.com${WELL_KNOWN}${MCP}"`);
    expect((await open(proxied.url, { ...headers, ...issuer.bearer('ann', { aud: resource, ...scope }) })).status).toBe(200);
    const inner = issuer.bearer('ann', { aud: `${proxied.url}${MCP}`, ...scope });
    expect((await open(proxied.url, { ...headers, ...inner })).status).toBe(401);
  });

  test('a name that is not served is refused, whoever forwards it', async () => {
    const headers = { ...proxy, 'x-forwarded-host': 'evil.example.com' };
    expect((await fetch(`${proxied.url}${WELL_KNOWN}${MCP}`, { headers })).status).toBe(403);
    expect((await open(proxied.url, headers)).status).toBe(403);
  });
});

describe('with a public URL', () => {
  const base = 'https://mcp.example.com/tools';

  test.each(['', '/tools'])('documents and challenges are made of it, also when the proxy has left the path "%s" on', async (left) => {
    expect((await metadataAt(`${namedUrl}${WELL_KNOWN}${left}${MCP}`)).resource).toBe(`${base}${MCP}`);
    expect((await metadataAt(`${namedUrl}${WELL_KNOWN}${left}`)).resource).toBe(base);
  });

  test('it is the audience, whatever name was used', async () => {
    const challenged = await open(namedUrl);
    expect(challenged.headers.get('www-authenticate')).toContain(`"https://mcp.example.com${WELL_KNOWN}/tools${MCP}"`);
    const statusFor = async (aud: string): Promise<number> => (await open(namedUrl, issuer.bearer('ann', { aud, ...scope }))).status;
    expect(await statusFor(`${base}${MCP}`)).toBe(200);
    expect(await statusFor(base)).toBe(200);
    expect(await statusFor(`${base}/`)).toBe(200);
    expect(await statusFor(`${namedUrl}${MCP}`)).toBe(401);
    expect(await statusFor('https://mcp.example.com/adapters/x/mcp')).toBe(401);
  });
});
