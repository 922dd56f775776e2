// Two issuers at once: each vouches for its own callers only, and the same name at both is two callers.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { openSession, post } from '../harness/mcp-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { tenant } from '../harness/tenant.ts';

let red: TestIssuer;
let blue: TestIssuer;
let gateway: Gateway;

const ping = { jsonrpc: '2.0', id: 9, method: 'ping' };
const url = (): string => gateway.backendUrl('counter');
const whoami = async (headers: Readonly<Record<string, string>>): Promise<Record<string, string>> =>
  ((await (await openSession(url(), { headers })).call('whoami')) as unknown as { headers: Record<string, string> }).headers;

beforeAll(async () => {
  [red, blue] = await Promise.all([startIssuer(), startIssuer()]);
  gateway = await startGateway({
    env: {
      MCP_GATEWAY_ISSUERS: JSON.stringify([
        { issuer: red.issuer, audiences: ['mcp'] },
        { issuer: blue.issuer, audiences: ['blue-api'], preset: 'entra' },
      ]),
    },
    resources: [
      tenant('staff', { match: [{ issuer: red.issuer, claim: 'groups', values: ['staff'] }], priority: 10 }),
      tenant('guests', { match: [{ issuer: blue.issuer, claim: 'groups', values: ['staff', 'guests'] }] }),
      serverBackend('counter', 'counter-server', { access: { tenants: ['*'] } }),
    ],
  });
});

afterAll(async () => {
  await gateway?.stop();
  await Promise.all([red?.stop(), blue?.stop()]);
});

const ofRed = (subject: string) => red.bearer(subject, { groups: ['staff'] });
const ofBlue = (subject: string, claims: Readonly<Record<string, unknown>> = {}) =>
  blue.bearer('pairwise', { oid: subject, aud: 'blue-api', groups: ['staff'], ...claims });

test('each is read by its own rules, and its claims count for its own tenants only', async () => {
  expect(await whoami(ofRed('ann'))).toMatchObject({ 'x-mcp-subject': 'ann', 'x-mcp-tenant': 'staff' });
  expect(await whoami(ofBlue('ann', { roles: ['dev'] }))).toMatchObject({
    'x-mcp-subject': 'ann',
    'x-mcp-tenant': 'guests',
    'x-mcp-roles': expect.stringMatching(/dev/),
  });
});

test('an audience that one of them lists is none of the other', async () => {
  expect((await post(url(), ping, red.bearer('ann', { groups: ['staff'], aud: 'blue-api' }))).status).toBe(401);
  expect((await post(url(), ping, ofBlue('ann', { aud: 'mcp' }))).status).toBe(401);
});

test("a token that one signed in the other's name is refused", async () => {
  expect((await post(url(), ping, red.bearer('ann', { groups: ['staff'], iss: blue.issuer, aud: 'blue-api', oid: 'ann' }))).status).toBe(
    401,
  );
});

test('the same subject of the other issuer does not find the session', async () => {
  const session = await openSession(url(), { headers: ofRed('ann') });
  await session.call('put', { value: 1 });
  for (const message of [ping, { jsonrpc: '2.0', id: 9, method: 'tools/call', params: { name: 'get', arguments: {} } }]) {
    const foreign = await post(url(), message, { 'mcp-session-id': session.id, ...ofBlue('ann') });
    expect(foreign.status).toBe(404);
    expect(JSON.parse(foreign.text)).toEqual({ jsonrpc: '2.0', id: 9, error: { code: -32001, message: 'Session not found' } });
  }
  const ended = await fetch(url(), { method: 'DELETE', headers: { 'mcp-session-id': session.id, ...ofBlue('ann') } });
  expect(ended.status).toBe(404);
  expect(await session.call('get')).toMatchObject({ value: 1 });
  // Another token of the same caller is as good as the first one.
  expect((await post(url(), ping, { 'mcp-session-id': session.id, ...red.bearer('ann', { groups: ['staff'], jti: 2 }) })).status).toBe(200);
});

test('a client is told of both, and may choose', async () => {
  const document = await fetch(`${gateway.url}/.well-known/oauth-protected-resource/adapters/counter/mcp`);
  expect(await document.json()).toMatchObject({ authorization_servers: [red.issuer, blue.issuer] });
});
