// Unmodified clients log in at a real authorization server, led there by nothing but the gateway's answers, and go on when tokens end.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AuthorizationServer, startAuthorizationServer } from '../auth/authorization-server.ts';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post } from '../harness/mcp-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type ConnectOAuth, connectSdk1, connectSdk2, type OAuthClient } from './oauth-clients.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';
const clients: readonly (readonly [string, ConnectOAuth])[] = [
  ['@modelcontextprotocol/sdk 1.x', connectSdk1],
  ['@modelcontextprotocol/client 2.x', connectSdk2('auto')],
];

let server: AuthorizationServer;
let gateway: Gateway;
const connected: OAuthClient[] = [];

const pathOf = (name: string): string => `/adapters/${name}/mcp`;
const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { iss: string; sub: string; aud: string; exp: number };

async function connect(how: ConnectOAuth, name: string, forgetful = false): Promise<OAuthClient> {
  const client = await how({ url: gateway.backendUrl(name), server, forgetful });
  connected.push(client);
  return client;
}

beforeAll(async () => {
  server = await startAuthorizationServer();
  const write = { put: ['mcp:write'], test_simple_text: ['mcp:write'] };
  gateway = await startGateway({
    env: { MCP_GATEWAY_ISSUERS: JSON.stringify([{ issuer: server.issuer, leeway: '0s' }]) },
    resources: [
      serverBackend('plain', 'counter-server', { access: { tenants: ['*'] } }),
      serverBackend('stepped', 'counter-server', { access: { tenants: ['*'], scopes: ['mcp:read'], toolScopes: write } }),
      serverBackend('modern', 'fixture-server', { access: { tenants: ['*'], scopes: ['mcp:read'], toolScopes: write } }),
    ],
  });
});

afterAll(async () => {
  await Promise.all(connected.map((client) => client.close()));
  await gateway?.stop();
  await server?.stop();
});

describe.each(clients)('%s', (_, how) => {
  test('finds out where to log in, registers, gets a token for this backend, and calls a tool', async () => {
    const client = await connect(how, 'plain');
    expect(client.seen.slice(0, 2)).toEqual([`POST ${pathOf('plain')} 401`, `GET ${WELL_KNOWN}${pathOf('plain')} 200`]);
    expect(client.seen).toEqual(expect.arrayContaining(['POST /reg 201', 'POST /token 200', `POST ${pathOf('plain')} 200`]));
    expect(claimsOf(client.login.accessToken())).toMatchObject({ iss: server.issuer, sub: 'ann', aud: gateway.backendUrl('plain') });
    expect(await client.call('whoami')).toContain('"x-mcp-subject":"ann"');
  });

  test('goes on with its session when its token has ended: 401, a refresh, and the state is still there', async () => {
    const client = await connect(how, 'plain');
    await client.call('put', { value: 'kept' });
    const id = client.sessionId();
    client.ttl = 1;
    await client.refresh();
    client.ttl = undefined;
    const ended = client.login.accessToken();
    await waitFor('the end of the token', () => Date.now() > claimsOf(ended).exp * 1000);
    const before = client.seen.length;
    expect(await client.call('get')).toContain('"value":"kept"');
    const since = client.seen.slice(before).filter((line) => !line.startsWith(`GET ${pathOf('plain')} `));
    expect(since[0]).toBe(`POST ${pathOf('plain')} 401`);
    expect(since).toContain('POST /token 200');
    expect(since.at(-1)).toBe(`POST ${pathOf('plain')} 200`);
    expect([client.sessionId(), client.login.accessToken() === ended]).toEqual([id, false]);
  });

  test('steps up: a tool needs more than the token has, the user logs in once more, and the session goes on', async () => {
    const client = await connect(how, 'stepped', how === connectSdk1);
    expect(client.login.tokens()).toMatchObject({ scope: 'mcp:read' });
    await client.call('get');
    const id = client.sessionId();
    const before = client.seen.length;
    await expect(client.call('put', { value: 'up' })).rejects.toThrow('Unauthorized');
    // The client's GET stream may be answered in between.
    expect(client.seen.slice(before).find((line) => line.startsWith('POST '))).toBe(`POST ${pathOf('stepped')} 403`);
    await client.finishLogin();
    await client.call('put', { value: 'up' });
    expect(client.login.tokens()).toMatchObject({ scope: expect.stringMatching(/mcp:read mcp:write|mcp:write mcp:read/) });
    expect(JSON.parse(await client.call('get'))).toMatchObject({ value: 'up', calls: 3 });
    expect(client.sessionId()).toBe(id);
  });
});

test('the modern protocol: log in, be refused for a scope, log in for it, call', async () => {
  const client = await connect(connectSdk2({ pin: '2026-07-28' }), 'modern');
  await expect(client.call('test_simple_text')).rejects.toThrow('Unauthorized');
  expect(client.seen.filter((line) => line.endsWith(' 403'))).toEqual([`POST ${pathOf('modern')} 403`]);
  await client.finishLogin();
  expect(await client.call('test_simple_text')).toContain('simple text');
  expect(client.sessionId()).toBeUndefined();
});

test('SDK 1.x refreshes rather than to log in for more: it gets a plain 403, and the session lives on', async () => {
  const client = await connect(connectSdk1, 'stepped');
  await expect(client.call('put', { value: 'x' })).rejects.toMatchObject({ code: 403 });
  expect(JSON.parse(await client.call('get'))).toMatchObject({ value: null, calls: 1 });
});

describe('a token', () => {
  const scopes = ['mcp:read'];
  const statusFor = async (name: string, token: string): Promise<number> =>
    (await post(gateway.backendUrl(name), { jsonrpc: '2.0', id: 1, method: 'ping' }, { authorization: `Bearer ${token}` })).status;

  test('for one backend is refused by another', async () => {
    const token = await server.token({ resource: gateway.backendUrl('plain'), scopes });
    await openSession(gateway.backendUrl('plain'), { headers: { authorization: `Bearer ${token}` } });
    expect(await statusFor('stepped', token)).toBe(401);
    expect(await statusFor('nobody', token)).toBe(401);
  });

  test('for the gateway opens every backend, with and without a slash at its end', async () => {
    for (const resource of [gateway.url, `${gateway.url}/`]) {
      const headers = { authorization: `Bearer ${await server.token({ resource, scopes, account: 'bob' })}` };
      for (const name of ['plain', 'stepped']) await openSession(gateway.backendUrl(name), { headers });
    }
  });

  test.each([
    ['another gateway', () => gateway.backendUrl('plain').replace(/:\d+/, ':1')],
    ['another name of this machine', () => gateway.backendUrl('plain').replace('127.0.0.1', 'localhost')],
    ['another scheme', () => gateway.backendUrl('plain').replace('http:', 'https:')],
    ['what the URL begins with', () => `${gateway.url}/adapters`],
    ['what begins with the URL', () => `${gateway.backendUrl('plain')}/x`],
  ])('for %s is refused', async (_, resource) => {
    expect(await statusFor('plain', await server.token({ resource: resource(), scopes }))).toBe(401);
  });
});
