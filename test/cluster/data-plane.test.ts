// A gateway's pod against a real API server: what it routes by, whom it believes, and what it asks of the controller.

import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeApi } from '../../src/runtime/k8s/api.ts';
import type { EndpointSlice } from '../../src/runtime/k8s/instances.ts';
import { ENDPOINT_SLICES, MCP_BACKENDS, MCP_TENANTS } from '../../src/runtime/k8s/objects.ts';
import { openSession, type Session } from '../harness/mcp-http.ts';
import { ownAddress } from '../harness/own-address.ts';
import { createScratch } from '../harness/scratch.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type GatewayPod, startGatewayPod } from './gateway-pod.ts';
import { type Installed, startInstalled } from './installed.ts';
import { createPodWorld, type PodWorld, type RegisteredPod } from './registered-pods.ts';

const namespace = 'mcp';
const scratch = createScratch();
/** What the gateway's pod has told its controller. */
const told: { readonly path: string; readonly authorization: string | undefined; readonly body: Record<string, unknown> }[] = [];
const controller = createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  request.on('end', () => {
    told.push({ path: request.url ?? '', authorization: request.headers.authorization, body: JSON.parse(text) });
    response.writeHead(204).end();
  });
});
let installed: Installed;
let api: KubeApi;
let world: PodWorld;
let gateway: GatewayPod;

beforeAll(async () => {
  installed = await startInstalled();
  api = installed.api;
  world = createPodWorld(installed.transport, namespace);
  await new Promise<void>((resolve) => controller.listen(0, '127.0.0.1', resolve));
  const keyFile = join(scratch.folder, 'keys.json');
  writeFileSync(keyFile, JSON.stringify({ keys: [{ id: '00000001', secret: Buffer.alloc(32, 7).toString('base64'), sealFrom: 0 }] }));
  writeFileSync(join(scratch.folder, 'token'), 'first\n');
  const env = {
    MCP_GATEWAY_CONTROLLER_URL: `http://127.0.0.1:${(controller.address() as AddressInfo).port}`,
    MCP_GATEWAY_CONTROLLER_TOKEN_FILE: join(scratch.folder, 'token'),
  };
  gateway = await startGatewayPod({ kubeconfig: installed.kubeconfigs.gateway, namespace, keyFile, env });
});
afterAll(async () => {
  await gateway?.stop();
  await world?.close();
  await installed?.close();
  controller.close();
  scratch.remove();
});

const declare = (name: string, spec: object = {}) =>
  api.apply(
    MCP_BACKENDS,
    { metadata: { name, namespace }, spec: { image: 'ghcr.io/example/counter:1', ...spec } },
    { fieldManager: 'test', force: true },
  );
const opened = (name: string): Promise<Session> => waitFor(`a session of ${name}`, () => openSession(gateway.backendUrl(name)));
/** The pods on which new sessions land now. */
const pidsOfNew = async (name: string, sessions = 6): Promise<Set<number>> => {
  const pids = new Set<number>();
  for (let n = 0; n < sessions; n += 1) pids.add((await (await openSession(gateway.backendUrl(name))).call('whoami')).pid);
  return pids;
};
const untilNewLandOn = (name: string, pods: readonly RegisteredPod[]) =>
  waitFor(`new sessions on ${pods.length} pods`, async () => {
    const pids = await pidsOfNew(name);
    return pids.size === pods.length && pods.every(({ pid }) => pids.has(pid));
  });

test('a session stays with its pod, and is opened again when the pod is gone without notice', async () => {
  await declare('counter');
  const pods = [await world.add('counter'), await world.add('counter')];
  await untilNewLandOn('counter', pods);
  const session = await opened('counter');
  const { pid } = await session.call('get');
  expect((await session.call('get')).pid).toBe(pid);
  const [gone, left] = pods[0]?.pid === pid ? pods : pods.toReversed();
  await gone?.kill();
  expect((await session.call('whoami')).pid).toBe(left?.pid);
});

test('a pod that has to go keeps its sessions and gets no new ones', async () => {
  await declare('leaving');
  const [old, fresh] = [await world.add('leaving'), await world.add('leaving')];
  await untilNewLandOn('leaving', [old, fresh]);
  const sessions = await Promise.all(Array.from({ length: 8 }, () => openSession(gateway.backendUrl('leaving'))));
  const first = await Promise.all(sessions.map((session) => session.call('get')));
  await old.say({ ready: false, terminating: true });
  await untilNewLandOn('leaving', [fresh]);
  const second = await Promise.all(sessions.map((session) => session.call('get')));
  expect(second.map(({ pid }) => pid)).toEqual(first.map(({ pid }) => pid));
  expect(second.map(({ calls }) => calls)).toEqual(first.map(({ calls }) => calls + 1));
  await old.remove();
  await waitFor('all sessions on the pod that is left', async () => {
    const third = await Promise.all(sessions.map((session) => session.call('get')));
    return third.every(({ pid }) => pid === fresh.pid);
  });
});

test('a restarted container is another instance: its sessions are opened again', async () => {
  await declare('restarted');
  const pod = await world.add('restarted');
  const session = await opened('restarted');
  const before = await session.call('get');
  await pod.restart();
  const after = await waitFor('an answer of the new process', () => session.call('get'));
  expect(after.pid).toBe(pod.pid);
  expect(after.pid).not.toBe(before.pid);
  expect(after.calls).toBe(1);
});

test('an EndpointSlice that names somebody else’s pod gets no requests', async () => {
  await declare('victim');
  const [pod, stranger] = [await world.add('victim'), await world.add('stranger')];
  await untilNewLandOn('victim', [pod]);
  const slice = await api.get<EndpointSlice>(ENDPOINT_SLICES, stranger.name, namespace);
  await api.create(ENDPOINT_SLICES, {
    metadata: {
      ...{ name: 'forged', namespace },
      labels: { 'kubernetes.io/service-name': 'victim', 'mcpgateway.dev/backend': 'victim' },
    },
    ...{ addressType: 'IPv4', endpoints: slice?.endpoints, ports: slice?.ports },
  });
  await declare('marker');
  const marker = await world.add('marker');
  await untilNewLandOn('marker', [marker]);
  expect(await pidsOfNew('victim', 10)).toEqual(new Set([pod.pid]));
  await api.delete(ENDPOINT_SLICES, 'forged', namespace);
});

test('a changed rule is in force at once, and a removed backend is gone', async () => {
  await declare('ruled');
  await world.add('ruled');
  const session = await opened('ruled');
  await session.call('get');
  await declare('ruled', { access: { tools: { deny: ['get'] } } });
  await waitFor('the tool to be denied', () =>
    session.call('get').then(
      () => false,
      (error: Error) => error.message.includes('Unknown tool'),
    ),
  );
  expect(await session.call('whoami')).toMatchObject({ calls: expect.any(Number) });
  await api.delete(MCP_BACKENDS, 'ruled', namespace);
  await waitFor('404', async () => (await fetch(gateway.backendUrl('ruled'), { method: 'POST' })).status === 404);
});

test('a tenant’s tool rules apply to everybody here, who are one tenant', async () => {
  await declare('open');
  await world.add('open');
  const session = await opened('open');
  const tenant = { metadata: { name: 'default', namespace }, spec: { tools: { deny: ['get'] } } };
  await api.apply(MCP_TENANTS, tenant, { fieldManager: 'test', force: true });
  try {
    await waitFor('the tool to be denied', () =>
      session.call('get').then(
        () => false,
        (error: Error) => error.message.includes('Unknown tool'),
      ),
    );
  } finally {
    await api.delete(MCP_TENANTS, 'default', namespace);
  }
  await waitFor('the tool to be allowed', () => session.call('get').catch(() => false));
});

test('a request for a backend without pods wakes it, and waits', async () => {
  await declare('asleep');
  await waitFor('the backend to be known', async () => (await fetch(gateway.backendUrl('asleep'), { method: 'OPTIONS' })).status !== 404);
  const waiting = Promise.all(Array.from({ length: 8 }, () => openSession(gateway.backendUrl('asleep'))));
  await waitFor('the controller to be asked', () =>
    told.some(({ path, body }) => path === '/internal/wake' && body['backend'] === 'asleep'),
  );
  expect(told.filter(({ body }) => body['backend'] === 'asleep')).toHaveLength(1);
  const pod = await world.add('asleep');
  const sessions = await waiting;
  expect((await sessions[0]?.call('whoami'))?.pid).toBe(pod.pid);
});

test('the controller hears of sessions, calls under way and use; the token is read anew', async () => {
  await declare('used');
  const pod = await world.add('used');
  const session = await opened('used');
  const of = (): { sessions: number; calls: number; idleMs: number } | undefined =>
    told.findLast(({ path }) => path === '/internal/sessions')?.body['instances']?.[`${pod.uid}.0` as never];
  const stream = new AbortController();
  await session.stream(stream.signal);
  await waitFor('an idle session with an open stream', () => {
    const { sessions = 0, calls = 1, idleMs = 0 } = of() ?? {};
    return sessions === 1 && calls === 0 && idleMs > 4_000;
  });
  writeFileSync(join(scratch.folder, 'token'), 'second\n');
  const call = session.call('slow', { ms: 12_000 });
  await waitFor('a call under way', () => of()?.calls === 1);
  await call;
  await waitFor('its end', () => of()?.calls === 0);
  stream.abort();
  expect(told.findLast(({ path }) => path === '/internal/sessions')?.authorization).toBe('Bearer second');
  const backends = told.flatMap(({ body }) => (body['backends'] as Record<string, { requests: number }> | undefined)?.['used'] ?? []);
  expect(backends.reduce((sum, { requests }) => sum + requests, 0)).toBeGreaterThanOrEqual(4);
});

test('remote servers need no pods', async () => {
  const pod = await world.add('elsewhere');
  const slice = await api.get<EndpointSlice>(ENDPOINT_SLICES, pod.name, namespace);
  await api.apply(
    MCP_BACKENDS,
    {
      metadata: { name: 'remote', namespace },
      spec: { url: `http://${ownAddress()}:${slice?.ports?.[0]?.port}/mcp`, healthCheck: { type: 'mcp' } },
    },
    { fieldManager: 'test', force: true },
  );
  expect((await (await opened('remote')).call('whoami')).pid).toBe(pod.pid);
});

test('while the API server is away everything goes on by what was seen last, and what changed meanwhile is seen afterwards', async () => {
  await declare('steady');
  const pods = [await world.add('steady'), await world.add('steady')];
  await untilNewLandOn('steady', pods);
  const session = await opened('steady');
  await session.call('get');
  await installed.server.kill();
  expect(await session.call('get')).toMatchObject({ calls: 2 });
  await untilNewLandOn('steady', pods);
  expect((await fetch(`${gateway.probes}/readyz`)).status).toBe(200);
  await installed.server.start();
  const third = await world.add('steady');
  await untilNewLandOn('steady', [...pods, third]);
  expect(await session.call('get')).toMatchObject({ calls: 3 });
});
