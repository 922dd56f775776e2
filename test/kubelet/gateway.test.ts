// The product on a real node, as it is installed: what becomes ready, what people see, and what they are told when something cannot run.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { openSession } from '../harness/mcp-http.ts';
import { connectSdkClient } from '../harness/sdk-client.ts';
import { waitFor } from '../harness/wait-for.ts';
import { portForward } from './balancer.ts';
import { backend, conditionsOf, declare, installProduct, isReady, kubectl, podsOf, type Product, untilReady } from './product.ts';

let product: Product;

beforeAll(async () => {
  product = await installProduct();
});
afterAll(() => product?.close());

test('a backend runs, and people see how it does', async () => {
  await declare('github', { replicas: 2 });
  await untilReady('github', 2);
  await waitFor('it to be ready', async () => (await conditionsOf('github'))['Ready']?.status === 'True');
  const { status, metadata } = await backend('github');
  expect(status).toMatchObject({ replicas: 2, readyReplicas: 2, updatedReplicas: 2, sessions: 0, message: '', selector: 'mcpgateway.dev/backend=github' });
  expect(status?.['observedGeneration']).toBe((metadata as unknown as { generation: number }).generation);
  expect(await conditionsOf('github')).toMatchObject({
    Ready: { status: 'True', reason: 'Serving', message: '2 ready' },
    Progressing: { status: 'False' },
    Degraded: { status: 'False' },
  });
  const lines = (await kubectl(['get', 'mcpb', '-n', 'mcp'])).trim().split('\n').map((line) => line.split(/\s{2,}/));
  expect(lines[0]).toEqual(['NAME', 'IMAGE', 'READY', 'REPLICAS', 'SESSIONS', 'AGE']);
  expect(lines[1]?.slice(0, 5)).toEqual(['github', 'ghcr.io/acme/counter:1', 'True', '2', '0']);
});

test('the gateway is reached by port-forward, as docs say', async () => {
  const forward = await portForward('mcp-gateway', 'deploy/mcp-gateway', 8080);
  try {
    const client = await connectSdkClient(`http://127.0.0.1:${forward.port}/adapters/github/mcp`);
    const names = (await podsOf('github')).map(({ metadata }) => metadata.name);
    expect(names).toContain((await client.call('whoami'))['host']);
    await client.close();
  } finally {
    forward.stop();
  }
});
