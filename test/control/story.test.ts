// The story of the product's first page: an issuer, three backends, a team with a quota of 1000 calls an hour, and what happens to them.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { problemOfValues } from '../harness/chart-values.ts';
import { type Gateway, MAIN, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { runLoad } from '../harness/load.ts';
import { openSession, post } from '../harness/mcp-http.ts';
import { outcomeOf } from '../harness/outcome.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { connectSdkClient, type SdkClient } from '../harness/sdk-client.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { waitFor } from '../harness/wait-for.ts';
import { toolBin } from '../setup/tools.ts';

const HOUR_MS = 3_600_000;
const QUOTA = 1_000;
const IN_FLIGHT = 16;

let issuer: TestIssuer;
let gateway: Gateway;
let servers: readonly ServerProcess[] = [];
let admin: SdkClient;

beforeAll(async () => {
  issuer = await startIssuer();
  servers = await Promise.all([startServer('counter-server', { COUNTER_JSON: '1' }), startServer('stateless-server')]);
  gateway = await startGateway({
    env: { ...issuer.env, MCP_GATEWAY_URL_ALLOW_LIST: '127.0.0.1' },
    resources: [
      serverBackend('snowflake', 'stateless-server', { affinity: 'none', replicas: 3, access: { tenants: ['engineering'] } }),
      backend('unprobed', {
        ...{ image: `exec:${process.execPath}`, args: [toolBin('@modelcontextprotocol/server-everything'), 'streamableHttp'] },
        scaling: { startTimeout: '10s' },
      }),
    ],
  });
  admin = await connectSdkClient(`${gateway.url}/admin/mcp`, issuer.bearer('root', { roles: ['mcp.admin'] }));
});
afterAll(async () => {
  await admin?.close();
  await gateway?.stop();
  await Promise.all([issuer?.stop(), ...servers.map((server) => server.stop())]);
});

async function call(name: string, args: Readonly<Record<string, unknown>> = {}): Promise<Record<string, unknown>> {
  const { isError, content, structuredContent } = await admin.client.callTool({ name, arguments: { ...args } }, undefined, {
    timeout: 120_000,
  });
  if (isError) throw new Error(JSON.stringify(content));
  return structuredContent as Record<string, unknown>;
}

test('a team gets its backends and its quota, and nobody else does', { timeout: 240_000 }, async () => {
  // Whoever has the group `eng` belongs to the team.
  const answer = await fetch(`${gateway.url}/tenants`, {
    method: 'POST',
    headers: { ...issuer.bearer('root', { roles: ['mcp.admin'] }), 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'engineering', match: [{ issuer: issuer.issuer, claim: 'groups', values: ['eng'] }] }),
  });
  expect(answer.status).toBe(201);
  const [stateful, stateless] = servers as [ServerProcess, ServerProcess];
  for (const [name, image] of [
    ['github', stateful.url],
    ['jira', stateless.url],
  ] as const) {
    const tenants = ['engineering'];
    expect(await call('register_backend', { name, image, tenants, healthCheck: { type: 'mcp' } })).toMatchObject({
      name,
      health: 'healthy',
      tenants,
    });
  }
  expect(await call('tenant_quota', { tenant_id: 'engineering', requests: QUOTA, per: '1h' })).toMatchObject({
    quotas: [{ requests: QUOTA, per: '1h', use: { used: 0 } }],
  });

  const engineer = issuer.bearer('eve', { groups: ['eng'] });
  expect((await (await openSession(gateway.backendUrl('github'), { headers: engineer })).call('whoami')).pid).toBe(stateful.pid);
  const stranger = issuer.bearer('sam', { groups: ['sales'] });
  const knock = await post(gateway.backendUrl('github'), { jsonrpc: '2.0', id: 1, method: 'tools/list' }, stranger);
  expect(knock.status).toBe(403);

  // The 1001st call of the hour is refused in-band, whichever backends the calls went to.
  const hour = (): number => Math.floor(Date.now() / HOUR_MS);
  let began = hour();
  const message = (id: number) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'get', arguments: {} } });
  const outcomes = await waitFor(
    'an hour that is long enough',
    async () => {
      began = hour();
      const counts: Record<string, number> = {};
      await runLoad(QUOTA + 200, IN_FLIGHT, async (index) => {
        const url = gateway.backendUrl(index % 2 === 0 ? 'jira' : 'snowflake');
        const outcome = outcomeOf(await post(url, message(index), engineer));
        counts[outcome] = (counts[outcome] ?? 0) + 1;
      });
      return hour() === began && counts;
    },
    { timeoutMs: 120_000 },
  );
  // One went to github before.
  expect(outcomes).toEqual({ ok: QUOTA - 1, quota_exceeded: 201 });
  const refused = await post(gateway.backendUrl('jira'), message(1001), engineer);
  expect(refused).toMatchObject({ status: 200, messages: [{ id: 1001, result: { isError: true } }] });
  expect(await call('tenant_quota', { tenant_id: 'engineering' })).toMatchObject({ quotas: [{ use: { used: QUOTA, remaining: 0 } }] });
});

test('the same for Kubernetes: a values file for an Entra issuer that the chart takes, and the command', { timeout: 60_000 }, async () => {
  const entra = {
    issuer: 'https://login.microsoftonline.com/8b7f4c5e-0000-0000-0000-000000000000/v2.0',
    preset: 'entra',
    audiences: ['gateway'],
  };
  const match = [{ issuer: entra.issuer, claim: 'groups', values: ['eng'] }];
  const asked = {
    ...{ issuers: [entra], public_url: 'https://mcp.acme.com' },
    backends: [
      ...[{ name: 'github' }, { name: 'jira' }],
      {
        name: 'snowflake',
        image: 'ghcr.io/acme/snowflake-mcp:2.1',
        affinity: 'none',
        replicas: 3,
        tenants: ['engineering'],
        env: { SNOWFLAKE_TOKEN: 'T0P' },
      },
    ],
    tenants: [{ name: 'engineering', match, quotas: [{ requests: QUOTA, per: '1h' }] }],
  };
  const made = (await call('helm_values', asked)) as { values: string; command: string; secrets: readonly object[] };
  expect(problemOfValues(made.values)).toBeUndefined();
  expect(parse(made.values)).toMatchObject({
    ...{ issuers: [entra], publicUrl: 'https://mcp.acme.com' },
    backends: {
      ...{ github: { url: expect.any(String), access: { tenants: ['engineering'] } }, jira: { healthCheck: { type: 'mcp' } } },
      snowflake: { affinity: 'none', replicas: 3, env: [{ name: 'SNOWFLAKE_TOKEN', valueFrom: { secretKeyRef: { name: 'snowflake' } } }] },
    },
    tenants: { engineering: { match, quotas: [{ requests: QUOTA, per: '1h' }] } },
  });
  expect(made.command).toMatch(/^helm upgrade --install mcp-gateway .*--values values\.yaml$/);
  expect(made.secrets).toMatchObject([{ namespace: 'mcp', name: 'snowflake', keys: ['SNOWFLAKE_TOKEN'] }]);
  expect(JSON.stringify(made)).not.toContain('T0P');

  // The command line writes the very same for what is declared.
  const env = {
    PATH: process.env['PATH'],
    MCP_GATEWAY_URL: gateway.url,
    MCP_GATEWAY_TOKEN: issuer.token('root', { roles: ['mcp.admin'] }),
  };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [MAIN, 'values', '--public-url', 'https://mcp.acme.com'], { env });
  expect(stdout).toBe((await call('helm_values', { public_url: 'https://mcp.acme.com' }))['values']);
  expect(problemOfValues(stdout)).toBeUndefined();
  expect(stderr).toContain('install it: helm upgrade --install mcp-gateway');
  expect(stderr).toContain('unprobed is left out');
});

test('a stateless backend spreads evenly', { timeout: 120_000 }, async () => {
  const caller = issuer.bearer('root', { roles: ['mcp.admin'], groups: [] });
  await waitFor('three replicas', async () => {
    const { backends } = (await call('list_backends')) as { backends: { name: string; replicas: { ready: number } }[] };
    return backends.find(({ name }) => name === 'snowflake')?.replicas.ready === 3;
  });
  const counts = new Map<number, number>();
  await runLoad(600, IN_FLIGHT, async (index) => {
    const answer = await post(
      gateway.backendUrl('snowflake'),
      { jsonrpc: '2.0', id: index, method: 'tools/call', params: { name: 'whoami', arguments: {} } },
      caller,
    );
    const result = answer.messages[0]?.result as { content: [{ text: string }] } | undefined;
    const { pid } = JSON.parse(result?.content[0].text ?? '{}') as { pid: number };
    counts.set(pid, (counts.get(pid) ?? 0) + 1);
  });
  expect(counts.size).toBe(3);
  for (const count of counts.values()) expect(Math.abs(count - 200)).toBeLessThan(30);
});

test('a backend without /healthz says what to set', { timeout: 120_000 }, async () => {
  const found = await waitFor(
    'its message',
    async () => {
      const { backends } = (await call('list_backends')) as { backends: { name: string; health: string; message: string }[] };
      const unprobed = backends.find(({ name }) => name === 'unprobed');
      return unprobed?.health === 'unhealthy' && unprobed.message.includes('healthCheck') && unprobed;
    },
    { timeoutMs: 90_000 },
  );
  expect(found.message).toMatch(/GET \/healthz answered 404.*healthCheck: \{ path: … \}/);
});
