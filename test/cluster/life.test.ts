// Pods that come and go under clients with sessions: roll-outs, fewer pods, a lost node, and none at all. No request may fail.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEPLOYMENTS } from '../../src/runtime/k8s/controller/kinds.ts';
import { MCP_BACKENDS } from '../../src/runtime/k8s/objects.ts';
import { type Crowd, startCrowd } from '../harness/crowd.ts';
import { openSession } from '../harness/mcp-http.ts';
import { createScratch } from '../harness/scratch.ts';
import { connectSdkClient } from '../harness/sdk-client.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type ControllerProcess, startControllerProcess } from './controller-process.ts';
import { type GatewayPod, startGatewayPod } from './gateway-pod.ts';
import { type Installed, startInstalled } from './installed.ts';
import { createPodWorld, type PodWorld, type RegisteredPod } from './registered-pods.ts';

const scratch = createScratch();
const keyFile = join(scratch.folder, 'keys.json');
let installed: Installed;
let world: PodWorld;
let controller: ControllerProcess;
let gateway: GatewayPod;
let env: Record<string, string>;
/** The gateway's, who may ask about every pod. */
let token: string;

beforeAll(async () => {
  installed = await startInstalled();
  world = createPodWorld(installed.transport, 'mcp');
  controller = await startControllerProcess(installed);
  const secret = (await installed.server.kubectl.get(['secret', 'mcp-gateway-keys', '-n', 'mcp-gateway'])).data?.['keys.json'] ?? '';
  writeFileSync(keyFile, Buffer.from(secret, 'base64'));
  const tokenFile = join(scratch.folder, 'token');
  token = await installed.server.tokenOf('mcp-gateway', 'mcp-gateway', 'mcp-gateway-controller');
  writeFileSync(tokenFile, token);
  env = { MCP_GATEWAY_CONTROLLER_URL: controller.url, MCP_GATEWAY_CONTROLLER_TOKEN_FILE: tokenFile };
  gateway = await startGatewayPod({ kubeconfig: installed.kubeconfigs.gateway, namespace: 'mcp', keyFile, env });
});
afterAll(async () => {
  await gateway?.stop();
  await controller?.stop();
  await world?.close();
  await installed?.close();
  scratch.remove();
});

const declare = (name: string, spec: object = {}) =>
  installed.api.apply(
    MCP_BACKENDS,
    { metadata: { name, namespace: 'mcp' }, spec: { image: 'ghcr.io/acme/counter:1', ...spec } },
    { fieldManager: 'test', force: true },
  );

const crowdOf = (name: string, size: number): Promise<Crowd> => startCrowd(gateway.backendUrl(name), { size, callMs: 20 });

const sessionsOn = async (name: string, pods: readonly RegisteredPod[]): Promise<void> => {
  await waitFor(`new sessions on ${pods.length} pods of ${name}`, async () => {
    const pids = new Set<number>();
    for (let n = 0; n < 6; n += 1) pids.add((await (await openSession(gateway.backendUrl(name))).call('whoami')).pid);
    return pids.size === pods.length && pods.every(({ pid }) => pids.has(pid));
  });
};

/** As Kubernetes ends a pod: first it has to go, and it goes when the controller lets it, as its drain agent asks. */
const end = async (pod: RegisteredPod): Promise<void> => {
  await pod.leave(32);
  await waitFor(
    'the pod to be let go',
    async () => {
      const answer = await fetch(`${controller.url}/internal/drain/${pod.uid}`, { headers: { authorization: `Bearer ${token}` } });
      return answer.status === 200 && ((await answer.json()) as { done: boolean }).done;
    },
    { timeoutMs: 60_000 },
  );
  await pod.remove();
};

test('a roll-out under load: every pod is replaced, and no request fails', { timeout: 240_000 }, async () => {
  await declare('rolled');
  const old = [await world.add('rolled'), await world.add('rolled'), await world.add('rolled')];
  await sessionsOn('rolled', old);
  const crowd = await crowdOf('rolled', 12);
  const fresh: RegisteredPod[] = [];
  for (const pod of old) {
    const before = crowd.answered();
    fresh.push(await world.add('rolled'));
    await end(pod);
    await waitFor('the clients to go on', () => crowd.answered() > before + 150);
  }
  await sessionsOn('rolled', fresh);
  await crowd.stop();
  expect(crowd.failures).toEqual([]);
});

test('three pods become one under load: no request fails, every session goes on there', { timeout: 120_000 }, async () => {
  await declare('shrunk');
  const pods = [await world.add('shrunk'), await world.add('shrunk'), await world.add('shrunk')];
  await sessionsOn('shrunk', pods);
  const crowd = await crowdOf('shrunk', 12);
  await Promise.all(pods.slice(1).map(end));
  const [left] = pods;
  const before = crowd.answered();
  await waitFor('the clients to go on', () => crowd.answered() > before + 100);
  const pids = await Promise.all(crowd.clients.map(async (client) => (await client.call('whoami')).pid));
  expect(new Set(pids)).toEqual(new Set([left?.pid]));
  await crowd.stop();
  expect(crowd.failures).toEqual([]);
});

test('a node is lost without notice: its pods’ sessions are opened again elsewhere, and only calls that were under way there may fail', {
  timeout: 120_000,
}, async () => {
  await declare('lost');
  const pods = [await world.add('lost'), await world.add('lost'), await world.add('lost')];
  await sessionsOn('lost', pods);
  const clients = await Promise.all(Array.from({ length: 12 }, () => connectSdkClient(gateway.backendUrl('lost'))));
  for (const client of clients) await client.call('get');
  await Promise.all(pods.slice(1).map((pod) => pod.kill()));
  const pids = await Promise.all(clients.map(async (client) => (await client.call('whoami')).pid));
  expect(new Set(pids)).toEqual(new Set([pods[0]?.pid]));
  await Promise.all(clients.map((client) => client.close()));
});

test('to zero and back: fifty clients wait, one start serves them all', { timeout: 120_000 }, async () => {
  await declare('asleep', { scaling: { toZeroAfter: '3s', startTimeout: '20s' } });
  const replicas = async (): Promise<number | undefined> =>
    ((await installed.api.get(DEPLOYMENTS, 'asleep', 'mcp')) as { spec?: { replicas?: number } } | undefined)?.spec?.replicas;
  await waitFor('its Deployment', async () => (await replicas()) === 1);
  const first = await world.add('asleep');
  await sessionsOn('asleep', [first]);
  const session = await openSession(gateway.backendUrl('asleep'));
  expect(await session.call('put', { value: 'kept in memory' })).toMatchObject({ calls: 1 });
  // Sessions hold it; they end when nobody uses them.
  await declare('asleep', { scaling: { toZeroAfter: '3s', startTimeout: '20s' }, sessions: { idleTimeout: '5s' } });
  await waitFor('its pods to be let go', async () => (await replicas()) === 0, { timeoutMs: 90_000 });
  await end(first);

  const wakes = (): number => (controller.logs().match(/"backend":"asleep","msg":"woken"/g) ?? []).length;
  const before = wakes();
  const waiting = Promise.all(Array.from({ length: 50 }, () => connectSdkClient(gateway.backendUrl('asleep'))));
  const again = session.call('get');
  await waitFor('its pods to be wanted', async () => (await replicas()) === 1);
  const second = await world.add('asleep');
  const clients = await waiting;
  const pids = await Promise.all(clients.map(async (client) => (await client.call('whoami')).pid));
  expect(new Set(pids)).toEqual(new Set([second.pid]));
  expect(await again).toMatchObject({ pid: second.pid, value: null });
  expect(wakes()).toBe(before + 1);
  await Promise.all(clients.map((client) => client.close()));
});

test('a gateway’s pod that has to go: not ready at once, calls end, then it goes; another one goes on with the same sessions', {
  timeout: 120_000,
}, async () => {
  await declare('moved');
  const pod = await world.add('moved');
  await sessionsOn('moved', [pod]);
  const second = await startGatewayPod({ kubeconfig: installed.kubeconfigs.gateway, namespace: 'mcp', keyFile, env });
  try {
    const url = second.backendUrl('moved');
    const session = await waitFor('a session', () => openSession(url));
    const stream = await session.stream(new AbortController().signal);
    const call = session.call('slow', { ms: 3_000 });
    const drained = fetch(`${second.probes}/drain`);
    await waitFor('it to be unready', async () => (await fetch(`${second.probes}/readyz`)).status === 503);
    expect(await call).toMatchObject({ slept: 3_000 });
    expect((await drained).status).toBe(200);
    const ended = stream.text().then(
      () => 'ended',
      () => 'ended',
    );
    await second.stop();
    expect(await ended).toBe('ended');
    const elsewhere = await fetch(gateway.backendUrl('moved'), {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...session.headers },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
    });
    // Without Redis nobody else knows of its tombstones, but the id itself says where the session is.
    expect([elsewhere.status, (await elsewhere.text()).includes('"result":{}')]).toEqual([200, true]);
  } finally {
    await second.stop().catch(() => {});
  }
});

test('TLS on the listener: another certificate is shown without a restart', { timeout: 60_000 }, async () => {
  const folder = join(scratch.folder, 'tls');
  const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
  /** As the kubelet changes a Secret: a new folder, and a link that is moved to it. */
  const show = (host: string, version: number): void => {
    const data = join(folder, `..v${version}`);
    mkdirSync(data, { recursive: true });
    copyFileSync(fixture(`${host}.pem`), join(data, 'tls.crt'));
    copyFileSync(fixture(`${host}.key`), join(data, 'tls.key'));
    execFileSync('ln', ['-sfn', data, join(folder, '..data.tmp')]);
    execFileSync('mv', ['-T', join(folder, '..data.tmp'), join(folder, '..data')]);
    for (const name of ['tls.crt', 'tls.key']) execFileSync('ln', ['-sf', join('..data', name), join(folder, name)]);
  };
  show('localhost', 1);
  const tls = { MCP_GATEWAY_TLS_CERT_FILE: join(folder, 'tls.crt'), MCP_GATEWAY_TLS_KEY_FILE: join(folder, 'tls.key') };
  const secure = await startGatewayPod({ kubeconfig: installed.kubeconfigs.gateway, namespace: 'mcp', keyFile, env: { ...env, ...tls } });
  const { port } = new URL(secure.url);
  const shown = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        { host: '127.0.0.1', port, path: '/healthz', rejectUnauthorized: false, agent: false, headers: { host: 'localhost' } },
        (answer) => {
          const certificate = (answer.socket as import('node:tls').TLSSocket).getPeerCertificate();
          answer.resume();
          resolve(`${answer.statusCode} ${certificate.fingerprint256}`);
        },
      );
      outgoing.on('error', reject).end();
    });
  try {
    const first = await shown();
    expect(first).toMatch(/^200 /);
    show('elsewhere', 2);
    const second = await waitFor('the other certificate', async () => {
      const now = await shown();
      return now === first ? undefined : now;
    });
    expect(second).toMatch(/^200 /);
    expect(readFileSync(join(folder, 'tls.crt'), 'utf8')).toBe(readFileSync(fixture('elsewhere.pem'), 'utf8'));
  } finally {
    await secure.stop();
  }
});
