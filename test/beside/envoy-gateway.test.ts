// Beside Envoy Gateway: its own translation of the policies, with their patches, run by a real Envoy in front of real servers.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { freePort } from '../harness/free-port.ts';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post } from '../harness/mcp-http.ts';
import { killAndWait } from '../harness/processes.ts';
import { serverBackend } from '../harness/resource.ts';
import { connectSdkClient } from '../harness/sdk-client.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type EdgeEnvoy, edgeEnvironment, edgePorts, runEnvoy, SECRET } from './edge-envoy.ts';
import { BASE, patched, type Xds } from './egctl.ts';
import { staticConfig } from './static-config.ts';

const POLICY_CLUSTER = 'securitypolicy/mcp-gateway/mcp/extauth/0';

let folder: string;
let gateway: Gateway;
let envoy: EdgeEnvoy | undefined;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beside-'));
  const secretFile = join(folder, 'secret');
  writeFileSync(secretFile, SECRET);
  gateway = await startGateway({
    resources: [serverBackend('counter', 'counter-server', { healthCheck: { type: 'mcp' } })],
    env: edgeEnvironment(secretFile),
  });
  await waitFor('the server', async () => (await openSession(gateway.backendUrl('counter'))).end());
});
afterEach(async () => {
  await envoy?.stop();
  envoy = undefined;
});
afterAll(async () => {
  await gateway.stop();
  rmSync(folder, { recursive: true });
});

async function start(secret = SECRET): Promise<EdgeEnvoy> {
  const own = mkdtempSync(join(tmpdir(), 'edge-'));
  const port = await freePort();
  const { policy, recovery } = edgePorts(gateway);
  const ports = new Map([
    [8084, policy],
    [8085, recovery],
  ]);
  const xds = patched(JSON.parse(readFileSync(BASE, 'utf8')) as Xds);
  const config = staticConfig({ xds, adminSocket: join(own, 'admin.sock'), port, ports });
  envoy = await runEnvoy({ config, folder: own, port, secret, policyCluster: POLICY_CLUSTER });
  return envoy;
}

it('carries sessions, and a client does not notice that its server was killed', async () => {
  const { backendUrl } = await start();
  const client = await connectSdkClient(backendUrl('counter'));
  await client.call('put', { key: 'a', value: 1 });
  const first = await client.call('whoami');
  await killAndWait(first.pid);
  const after = await client.call('whoami');
  expect(after.pid).not.toBe(first.pid);
  expect((await client.call('whoami')).pid).toBe(after.pid);
  const { headers } = after as unknown as { headers: Record<string, string> };
  expect(Object.keys(headers).filter((name) => name.startsWith('x-mcp-e') || name.startsWith('x-mcp-c'))).toEqual([]);
  await client.close();
});

it('ends sessions, refuses unknown ones as the gateway does, and answers large requests', async () => {
  const { backendUrl } = await start();
  const session = await openSession(backendUrl('counter'));
  expect(await session.call('echo', { payload: 'x'.repeat(300_000) })).toMatchObject({ length: 300_000 });
  expect(await session.end()).toBe(200);
  const answer = await session.send({ jsonrpc: '2.0', id: 7, method: 'tools/list', params: {} });
  expect([answer.status, answer.messages[0]]).toEqual([
    404,
    { jsonrpc: '2.0', id: 7, error: { code: -32001, message: 'Session not found' } },
  ]);
});

it('is not served without the secret', async () => {
  const { backendUrl } = await start('something else that is long enough to be a secret');
  const answer = await post(backendUrl('counter'), { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} });
  expect([answer.status, answer.messages[0]?.error]).toEqual([503, { code: -32603, message: 'Policy service unavailable' }]);
});
