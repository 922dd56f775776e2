// A sidecar without an Envoy in its pod, on a real API server, asked by an Envoy elsewhere.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKubeApi } from '../../src/runtime/k8s/api.ts';
import { MCP_BACKENDS } from '../../src/runtime/k8s/objects.ts';
import { type EdgeEnvoy, edgeEnvironment, SECRET, startEdgeEnvoy } from '../beside/edge-envoy.ts';
import { openSession } from '../harness/mcp-http.ts';
import { createScratch } from '../harness/scratch.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type GatewayPod, startGatewayPod } from './gateway-pod.ts';
import { type Installed, startInstalled } from './installed.ts';
import { createPodWorld, type PodWorld } from './registered-pods.ts';

const namespace = 'mcp';
const scratch = createScratch();
let installed: Installed;
let world: PodWorld;
let pod: GatewayPod;
let envoy: EdgeEnvoy | undefined;

beforeAll(async () => {
  installed = await startInstalled();
  world = createPodWorld(installed.transport, namespace);
  const keyFile = join(scratch.folder, 'keys.json');
  writeFileSync(keyFile, JSON.stringify({ keys: [{ id: '00000001', secret: Buffer.alloc(32, 7).toString('base64'), sealFrom: 0 }] }));
  const secretFile = join(scratch.folder, 'secret');
  writeFileSync(secretFile, SECRET);
  pod = await startGatewayPod({
    ...{ kubeconfig: installed.kubeconfigs.gateway, namespace, keyFile, alone: true },
    env: edgeEnvironment(secretFile),
  });
});
afterAll(async () => {
  await envoy?.stop();
  await pod?.stop();
  await world?.close();
  await installed?.close();
  scratch.remove();
});

test('is ready, carries sessions to pods, and opens them again when a pod is gone', async () => {
  const metadata = { name: 'counter', namespace };
  const spec = { image: 'ghcr.io/example/counter:1' };
  await createKubeApi(installed.transport).apply(MCP_BACKENDS, { metadata, spec }, { fieldManager: 'test', force: true });
  const pods = [await world.add('counter'), await world.add('counter')];
  envoy = await startEdgeEnvoy({ gateway: pod });
  const url = envoy.backendUrl('counter');
  const session = await waitFor('a session', () => openSession(url));
  const { pid } = await session.call('whoami');
  await pods.find((one) => one.pid === pid)?.kill();
  const after = await session.call('whoami');
  expect(pods.map((one) => one.pid)).toContain(after.pid);
  expect(after.pid).not.toBe(pid);
});

test('may go when nothing is under way', async () => {
  expect((await fetch(`${pod.probes}/readyz`)).status).toBe(200);
  expect((await fetch(`${pod.probes}/drain`)).status).toBe(200);
  expect((await fetch(`${pod.probes}/readyz`)).status).toBe(503);
});
