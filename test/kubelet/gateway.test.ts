// The product on a real node, as it is installed: what becomes ready, what people see, and what they are told when something cannot run.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectSdkClient } from '../harness/sdk-client.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type Forward, portForward } from './balancer.ts';
import { killContainer } from './containerd.ts';
import { STDIO_COMMAND, STDIO_IMAGE } from './images.ts';
import {
  backend,
  conditionsOf,
  containerOf,
  declare,
  installProduct,
  kubectl,
  type Product,
  podsOf,
  type Seen,
  untilReady,
} from './product.ts';

let product: Product;
/** As docs say: `kubectl port-forward -n mcp-gateway deploy/mcp-gateway 8080`. */
let forward: Forward;

beforeAll(async () => {
  product = await installProduct();
  forward = await portForward('mcp-gateway', 'deploy/mcp-gateway', 8080);
});
afterAll(() => {
  forward?.stop();
  product?.close();
});

test('a backend runs, and people see how it does', async () => {
  await declare('github', { replicas: 2 });
  await untilReady('github', 2);
  await waitFor('it to be ready', async () => (await conditionsOf('github'))['Ready']?.status === 'True');
  const { status, metadata } = await backend('github');
  expect(status).toMatchObject({
    replicas: 2,
    readyReplicas: 2,
    updatedReplicas: 2,
    sessions: 0,
    message: '',
    selector: 'mcpgateway.dev/backend=github',
  });
  expect(status?.['observedGeneration']).toBe((metadata as unknown as { generation: number }).generation);
  expect(await conditionsOf('github')).toMatchObject({
    Ready: { status: 'True', reason: 'Serving', message: '2 ready' },
    Progressing: { status: 'False' },
    Degraded: { status: 'False' },
  });
  const lines = (await kubectl(['get', 'mcpb', '-n', 'mcp']))
    .trim()
    .split('\n')
    .map((line) => line.split(/\s{2,}/));
  expect(lines[0]).toEqual(['NAME', 'IMAGE', 'READY', 'REPLICAS', 'SESSIONS', 'AGE']);
  expect(lines[1]?.slice(0, 5)).toEqual(['github', 'ghcr.io/acme/counter:1', 'True', '2', '0']);
});

test('the gateway is reached by port-forward, as docs say', async () => {
  const client = await connectSdkClient(forward.backendUrl('github'));
  const names = (await podsOf('github')).map(({ metadata }) => metadata.name);
  expect(names).toContain((await client.call('whoami'))['host']);
  await client.close();
});

test('pods of both namespaces are as locked as Kubernetes knows', async () => {
  for (const namespace of ['mcp-gateway', 'mcp']) {
    const { metadata } = await kubectl.get<{ metadata: { labels: object } }>(['namespace', namespace]);
    expect(metadata.labels).toMatchObject({ 'pod-security.kubernetes.io/enforce': 'restricted' });
  }
  const [pod] = await podsOf('github');
  const inPod = (program: string) =>
    kubectl(['exec', '-n', 'mcp', pod?.metadata.name ?? '', '-c', 'server', '--', '/usr/local/bin/node', '-p', program]);
  expect(await inPod('process.getuid()')).toBe('65532\n');
  await expect(inPod('fs.writeFileSync("/server/x", "")')).rejects.toThrow('EROFS');
  // Who the pod is, is the drain agent's affair alone.
  expect(await inPod('fs.existsSync("/var/run/secrets")')).toBe('false\n');
});

test('a stdio server runs on the runner, one process for each session', async () => {
  await declare('stdio', { image: STDIO_IMAGE, transport: 'stdio', args: STDIO_COMMAND });
  await untilReady('stdio', 1);
  const clients = await Promise.all([1, 2].map(() => connectSdkClient(forward.backendUrl('stdio'))));
  for (const [index, client] of clients.entries()) await client.call('put', { value: index });
  const answers = await Promise.all(clients.map((client) => client.call('get')));
  expect(answers.map(({ value }) => value)).toEqual([0, 1]);
  expect(new Set(answers.map(({ pid }) => pid)).size).toBe(2);
  await Promise.all(clients.map((client) => client.close()));
});

test('what cannot run says why, and what to do', async () => {
  await declare('unpulled', { image: 'ghcr.io/acme/nothing:1' });
  await declare('crashing', { env: [{ name: 'COUNTER_FAIL_START', value: '1' }] });
  await declare('unwell', { healthCheck: { path: '/nothing-here' } });
  const degraded = (name: string, reason: string) =>
    waitFor(
      `${name} to be degraded`,
      async () => {
        const { Degraded, Ready } = await conditionsOf(name);
        return Degraded?.status === 'True' && Degraded.reason === reason && Ready?.status === 'False' && Degraded.message;
      },
      { timeoutMs: 60_000 },
    );
  expect(await degraded('unpulled', 'ImagePull')).toMatch(/^the image ghcr\.io\/acme\/nothing:1 of the server cannot be pulled: /);
  expect(await degraded('crashing', 'CrashLoop')).toMatch(
    /^the server keeps ending with exit code 3 \(kubectl logs -n mcp crashing-\S+ -c server --previous\)$/,
  );
  expect(await degraded('unwell', 'ProbeFailing')).toMatch(
    /^the server does not answer GET \/nothing-here at port 8000 with 200 although it runs: set healthCheck\.path /,
  );
  // Corrected, it serves.
  await declare('unwell', { healthCheck: { path: '/healthz' } });
  await untilReady('unwell', 1);
  await waitFor('it to be well', async () => (await conditionsOf('unwell'))['Degraded']?.status === 'False');
  await kubectl(['delete', 'mcpbackends', '-n', 'mcp', 'unpulled', 'crashing', 'unwell']);
});

test('REST through the gateway: what runs, and what a server writes, as it writes it', async () => {
  const { data } = await kubectl.get(['secret', 'mcp-gateway-token', '-n', 'mcp-gateway']);
  const headers = { authorization: `Bearer ${Buffer.from(data?.['token'] ?? '', 'base64').toString()}` };
  const shown = await fetch(`${forward.url}/adapters/github/status`, { headers });
  expect([shown.status, await shown.json()]).toMatchObject([200, { readyReplicas: 2, replicaStatus: 'healthy' }]);
  const following = new AbortController();
  const answer = await fetch(`${forward.url}/adapters/github/logs?follow=true&instance=0`, {
    headers: { ...headers, accept: 'text/event-stream' },
    signal: following.signal,
  });
  expect(answer.status).toBe(200);
  let text = '';
  const reading = (async () => {
    for await (const piece of answer.body ?? []) text += Buffer.from(piece).toString();
  })().catch(() => {});
  await waitFor('its first line', () => text.includes('data: listening http://0.0.0.0:8000'));
  following.abort();
  await reading;
});

test('the controller that leads is killed: another one takes over', async () => {
  const holder = async (): Promise<string> => {
    const { spec } = await kubectl.get(['lease', 'mcp-gateway-controller', '-n', 'mcp-gateway']);
    return String(spec?.['holderIdentity']).replace(/_.*/, '');
  };
  const before = await holder();
  // It has no time to give the lease away.
  await killContainer(containerOf(await kubectl.get<Seen>(['pod', before, '-n', 'mcp-gateway'])).containerID);
  await kubectl(['delete', 'pod', before, '-n', 'mcp-gateway', '--grace-period=0', '--force']);
  await declare('after');
  await untilReady('after', 1);
  await waitFor('it to be told', async () => (await conditionsOf('after'))['Ready']?.status === 'True');
  expect(await holder()).not.toBe(before);
  await kubectl(['rollout', 'status', '-n', 'mcp-gateway', 'deployment/mcp-gateway-controller', '--timeout=60s']);
});

test('kubectl delete -k leaves nothing behind', { timeout: 240_000 }, async () => {
  const client = await connectSdkClient(forward.backendUrl('github'));
  await client.call('get');
  await product.remove();
  await client.close().catch(() => {});
  const names = async (kinds: string) => (await kubectl(['get', kinds, '-A', '-o', 'name'])).split('\n').filter((name) => /mcp/.test(name));
  expect(await names('namespaces,customresourcedefinitions,clusterroles,clusterrolebindings')).toEqual([]);
  expect(await names('pods,services,deployments,statefulsets,endpointslices,networkpolicies,poddisruptionbudgets')).toEqual([]);
});
