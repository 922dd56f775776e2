// Tokens of a real authorization server, through every way in which clients get them, and its keys in good and bad times.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { auth } from '@modelcontextprotocol/sdk/client/auth.js';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TokenVerifier } from '../../src/identity/identity.ts';
import { createTokenVerifier } from '../../src/identity/token-verifier.ts';
import { issuerOf } from '../fakes/identity-provider.ts';
import { type AuthorizationServer, startAuthorizationServer } from './authorization-server.ts';
import { createSdkLogin } from './sdk-login.ts';

const resource = 'http://127.0.0.1:8080/adapters/github/mcp';
const scopes = ['mcp:read'];
let server: AuthorizationServer;
let verifier: TokenVerifier;
const clock = { ahead: 0 };

beforeAll(async () => {
  server = await startAuthorizationServer();
  await server.control({ accounts: { ann: { groups: ['eng'], roles: ['dev'] }, machine: { roles: ['robot'] } } });
  verifier = createTokenVerifier({
    issuers: [issuerOf({ issuer: server.issuer, claims: { roles: ['roles', 'groups'] } })],
    log: pino({ level: 'silent' }),
    now: () => Date.now() + clock.ahead,
    fetchTimeoutMs: 2000,
  });
});

afterAll(async () => {
  verifier?.close();
  await server?.stop();
});

describe('a token', () => {
  it.each(['RS256', 'ES256', 'EdDSA'] as const)('of a machine, signed with %s', async (alg) => {
    const token = await server.token({ resource, scopes, alg });
    expect(await verifier.verify(token)).toMatchObject({ subject: 'machine', roles: ['robot'], audiences: [resource], scopes });
  });

  it('of somebody who logged in', async () => {
    const token = await server.token({ resource, scopes, account: 'ann' });
    expect(await verifier.verify(token)).toMatchObject({ issuer: server.issuer, subject: 'ann', roles: ['dev', 'eng'], scopes });
    expect(await verifier.verify(await server.token({ resource, account: 'bob' }))).toMatchObject({
      subject: 'bob',
      roles: [],
      scopes: [],
    });
  });

  it('that was refreshed when it ended', async () => {
    const first = await server.login({ resource, scopes, account: 'ann', ttlSeconds: 40 });
    const before = await verifier.verify(first.access_token);
    clock.ahead = 80_000;
    expect(await verifier.verify(first.access_token)).toMatchObject({ code: 'expired' });
    clock.ahead = 0;
    const next = await server.refresh({ clientId: first.clientId, refresh_token: first.refresh_token ?? '' });
    const after = await verifier.verify(next.access_token);
    expect(next.access_token).not.toBe(first.access_token);
    expect(after).toMatchObject({ subject: 'ann', scopes });
    expect(before).toMatchObject({ subject: 'ann', scopes });
  });

  it('for no resource is opaque, and refused', async () => {
    const opaque = await fetch(`${server.issuer}/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: 'machine', client_secret: 'machine' }),
    });
    const { access_token } = (await opaque.json()) as { access_token: string };
    expect(await verifier.verify(access_token)).toMatchObject({ code: 'token_malformed' });
  });
});

it('the SDK logs in, refreshes, and steps up to a scope that it did not register with', async () => {
  const protectedResource = createServer((_req, res) => {
    const metadata = { resource: serverUrl, authorization_servers: [server.issuer], scopes_supported: scopes };
    res.setHeader('content-type', 'application/json').end(JSON.stringify(metadata));
  });
  await new Promise<void>((resolve) => protectedResource.listen(0, '127.0.0.1', resolve));
  const serverUrl = `http://127.0.0.1:${(protectedResource.address() as AddressInfo).port}/adapters/x/mcp`;
  try {
    const login = createSdkLogin(server);
    expect(await auth(login, { serverUrl })).toBe('REDIRECT');
    expect(await auth(login, { serverUrl, authorizationCode: login.takeCode() })).toBe('AUTHORIZED');
    const first = login.accessToken();
    expect(await verifier.verify(first)).toMatchObject({ subject: 'ann', audiences: [serverUrl], scopes });
    expect(await auth(login, { serverUrl })).toBe('AUTHORIZED');
    expect(login.accessToken()).not.toBe(first);
    login.forgetTokens();
    expect(await auth(login, { serverUrl, scope: 'mcp:read mcp:write' })).toBe('REDIRECT');
    expect(await auth(login, { serverUrl, authorizationCode: login.takeCode() })).toBe('AUTHORIZED');
    expect(await verifier.verify(login.accessToken())).toMatchObject({
      scopes: ['mcp:read', 'mcp:write'],
    });
  } finally {
    protectedResource.close();
  }
});

describe('keys', () => {
  it('are taken at once when they change, and the old ones with them', async () => {
    const old = await server.token({ resource });
    await server.control({ rotate: 'keep' });
    expect(await verifier.verify(await server.token({ resource }))).toMatchObject({ subject: 'machine' });
    expect(await verifier.verify(old)).toMatchObject({ subject: 'machine' });
  });

  it.each(['down', 'garbage', 'hang'] as const)('that are known still hold while the endpoint is bad: %s', async (keys) => {
    const token = await server.token({ resource });
    await server.control({ keys, rotate: 'keep' });
    clock.ahead += 60_000;
    expect(await verifier.verify(token)).toMatchObject({ subject: 'machine' });
    const unknown = await server.token({ resource });
    expect(await verifier.verify(unknown)).toMatchObject({ code: 'keys_unavailable' });
    await server.control({ keys: 'ok' });
    clock.ahead += 60_000;
    expect(await verifier.verify(unknown)).toMatchObject({ subject: 'machine' });
  });
});
