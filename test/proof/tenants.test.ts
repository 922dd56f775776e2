// Tenants, access and tool policy through the real gateway: who gets in where, and that a hidden tool looks like one that does not exist.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { openSession, post, type Session } from '../harness/mcp-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { tenant } from '../harness/tenant.ts';

let issuer: TestIssuer;
let gateway: Gateway;

const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
};
const statusOf = async (backend: string, headers: Readonly<Record<string, string>>): Promise<number> =>
  (await post(gateway.backendUrl(backend), initialize, headers)).status;
const toolsOf = async (session: Session): Promise<string[]> => {
  const { messages } = await session.send({ jsonrpc: '2.0', id: 'list', method: 'tools/list' });
  const result = messages[0]?.result as { tools: { name: string }[] } | undefined;
  return result?.tools.map(({ name }) => name) ?? [];
};

beforeAll(async () => {
  issuer = await startIssuer({ claims: { roles: ['roles'] } });
  const member = (group: string) => [{ issuer: issuer.issuer, claim: 'groups', values: [group] }];
  gateway = await startGateway({
    env: issuer.env,
    resources: [
      tenant('red', { match: member('red'), tools: { deny: ['set_*'] } }),
      tenant('blue', { match: member('blue'), priority: 10 }),
      serverBackend('open', 'counter-server', { access: { tenants: ['*'], tools: { deny: ['slow'] } } }),
      serverBackend('for-blue', 'counter-server', { access: { tenants: ['blue'], roles: ['guest'] } }),
      serverBackend('nobody', 'counter-server'),
    ],
  });
});

afterAll(async () => {
  await gateway?.stop();
  await issuer?.stop();
});

describe('a caller', () => {
  test.each([
    ['of a tenant', 'open', { groups: ['red'] }, 200],
    ['of two tenants: the higher priority', 'for-blue', { groups: ['red', 'blue'] }, 200],
    ['of the wrong tenant', 'for-blue', { groups: ['red'] }, 403],
    ['of the wrong tenant with the right role', 'for-blue', { groups: ['red'], roles: ['guest'] }, 200],
    ['of no tenant', 'open', { groups: ['green'] }, 403],
    ['who is an administrator', 'nobody', { groups: ['red'], roles: ['mcp.admin'] }, 200],
    ['of a tenant, at a backend for nobody', 'nobody', { groups: ['red'] }, 403],
    ['at a backend that does not exist', 'unknown', { groups: ['red'] }, 404],
  ])('%s', async (_, backend, claims, status) => {
    expect(await statusOf(backend, issuer.bearer('ann', claims))).toBe(status);
  });

  test('without a token learns nothing: the same challenge for every name', async () => {
    for (const name of ['open', 'nobody', 'unknown']) {
      const answer = await post(gateway.backendUrl(name), initialize);
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toBe(
        `Bearer resource_metadata="${gateway.url}/.well-known/oauth-protected-resource/adapters/${name}/mcp"`,
      );
    }
  });
});

describe('tools', () => {
  test('a tool that the tenant or the backend denies is not listed, and looks like one that does not exist', async () => {
    const red = await openSession(gateway.backendUrl('open'), { headers: issuer.bearer('ann', { groups: ['red'] }) });
    const blue = await openSession(gateway.backendUrl('open'), { headers: issuer.bearer('ben', { groups: ['blue'] }) });
    const all = await toolsOf(blue);
    const few = await toolsOf(red);
    expect(all.filter((name) => !few.includes(name)).every((name) => name.startsWith('set_'))).toBe(true);
    expect([all.includes('slow'), few.includes('slow')]).toEqual([false, false]);
    const call = (name: string) => red.send({ jsonrpc: '2.0', id: 5, method: 'tools/call', params: { name, arguments: {} } });
    const [hidden, missing] = [await call('slow'), await call('no_such_tool_at_all')];
    expect(hidden.status).toBe(200);
    expect(JSON.parse(hidden.text)).toEqual({ jsonrpc: '2.0', id: 5, error: { code: -32602, message: 'Unknown tool: slow' } });
    expect(missing.status).toBe(200);
  });
});

test('a session belongs to its caller', async () => {
  const { id } = await openSession(gateway.backendUrl('open'), { headers: issuer.bearer('ann', { groups: ['red'] }) });
  const ping = { jsonrpc: '2.0', id: 9, method: 'ping' };
  const asked = (subject: string, claims: Readonly<Record<string, unknown>> = {}) =>
    post(gateway.backendUrl('open'), ping, { 'mcp-session-id': id, ...issuer.bearer(subject, { groups: ['red'], ...claims }) });
  expect((await asked('ann')).status).toBe(200);
  const foreign = await asked('ben');
  expect([foreign.status, JSON.parse(foreign.text)]).toEqual([
    404,
    { jsonrpc: '2.0', id: 9, error: { code: -32001, message: 'Session not found' } },
  ]);
  // An expired token in the middle of a session: 401, and with the next one all is as before.
  expect((await asked('ann', { exp: Math.floor(Date.now() / 1000) - 60 })).status).toBe(401);
  expect((await asked('ann')).status).toBe(200);
});
