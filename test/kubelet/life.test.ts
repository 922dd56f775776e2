// Unmodified clients with sessions under load, while a real kubelet replaces, ends and starts the pods behind them: no request may fail.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Crowd, startCrowd } from '../harness/crowd.ts';
import { openSession } from '../harness/mcp-http.ts';
import { connectSdkClient, type SdkClient } from '../harness/sdk-client.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type Balancer, startBalancer } from './balancer.ts';
import { killContainer } from './containerd.ts';
import { NEXT_COUNTER_IMAGE } from './images.ts';
import {
  backend,
  conditionsOf,
  containerOf,
  declare,
  installProduct,
  kubectl,
  type Product,
  podNames,
  podsOf,
  type Seen,
  untilReady,
} from './product.ts';

let product: Product;
let balancer: Balancer;

beforeAll(async () => {
  product = await installProduct();
  balancer = await startBalancer();
});
afterAll(async () => {
  await balancer?.stop();
  await kubectl(['delete', 'mcpbackends', '--all', '-n', 'mcp', '--wait=false']);
  product?.close();
});

const crowdOf = (name: string, size: number): Promise<Crowd> => startCrowd(balancer.backendUrl(name), { size, callMs: 100 });

const nameOf = (pod: Seen): string => pod.metadata.name;
const imageOf = ({ spec }: Seen): unknown => (spec?.['containers'] as { image: string }[] | undefined)?.[0]?.image;
/** The pods on which the sessions of these clients are. */
const hostsOf = async (clients: readonly SdkClient[]): Promise<string[]> =>
  Promise.all(clients.map(async (client) => String((await client.call('whoami'))['host'])));
/** Resolves when the status tells so many sessions: the gateways have reported them. */
const untilCounted = (name: string, sessions: number): Promise<unknown> =>
  waitFor(`${sessions} sessions of ${name} to be told`, async () => (await backend(name)).status?.['sessions'] === sessions, {
    timeoutMs: 60_000,
  });
/** One session on each of the pods at least. */
const untilSpread = (name: string, pods: readonly Seen[]): Promise<unknown> =>
  waitFor(`new sessions on ${pods.length} pods of ${name}`, async () => {
    const hosts = new Set<unknown>();
    const sessions = await Promise.all(Array.from({ length: 2 * pods.length }, () => openSession(balancer.backendUrl(name))));
    for (const session of sessions) hosts.add((await session.call('whoami'))['host']);
    for (const session of sessions) await session.end();
    return hosts.size === pods.length;
  });

test('a roll-out under load: another image, then the annotation that restarts; no request fails', { timeout: 400_000 }, async () => {
  await declare('rolled', { replicas: 3 });
  const first = await untilReady('rolled', 3);
  await untilSpread('rolled', first);
  const crowd = await crowdOf('rolled', 9);
  const idle = await connectSdkClient(balancer.backendUrl('rolled'));
  const long = idle.call('slow', { ms: 10_000 });
  await declare('rolled', { replicas: 3, image: NEXT_COUNTER_IMAGE });
  /** What has to go stays until its sessions are moved or idle. */
  let held = false;
  const second = await waitFor(
    'every pod to be replaced',
    async () => {
      const all = await podNames('mcp', 'mcpgateway.dev/backend=rolled');
      const staying = await podsOf('rolled');
      if (all.length > staying.length) held = true;
      return all.length === 3 && staying.length === 3 && staying.every((pod) => imageOf(pod) === NEXT_COUNTER_IMAGE) && staying;
    },
    { timeoutMs: 170_000 },
  );
  expect(held).toBe(true);
  expect(await long).toMatchObject({ slept: 10_000 });
  expect(crowd.failures).toEqual([]);
  const names = (await untilReady('rolled', 3)).map(nameOf);
  for (const host of await hostsOf([...crowd.clients, idle])) expect(names).toContain(host);

  await declare('rolled', { replicas: 3, image: NEXT_COUNTER_IMAGE }, { 'mcpgateway.dev/restart': '2026-11-28T12:00:00Z' });
  const before = new Set(second.map(nameOf));
  await waitFor(
    'every pod to be replaced again',
    async () => {
      const all = await podNames('mcp', 'mcpgateway.dev/backend=rolled');
      return all.length === 3 && all.every((name) => !before.has(name.replace('pod/', '')));
    },
    { timeoutMs: 170_000 },
  );
  await waitFor('the roll-out to be over', async () => (await conditionsOf('rolled'))['Progressing']?.reason === 'Complete');
  const count = crowd.answered();
  await waitFor('the clients to go on', () => crowd.answered() > count + 20);
  await crowd.stop();
  expect(crowd.failures).toEqual([]);
  await idle.close();
});

test('three pods become one: the one with the most sessions stays, and no request fails', { timeout: 240_000 }, async () => {
  await declare('shrunk', { replicas: 3 });
  const pods = await untilReady('shrunk', 3);
  await untilSpread('shrunk', pods);
  const clients = await Promise.all(Array.from({ length: 12 }, () => connectSdkClient(balancer.backendUrl('shrunk'))));
  const spread = await hostsOf(clients);
  // Sessions of all but one pod come to an end, but for one each.
  const [most = ''] = spread;
  const kept = new Set<string>();
  const ended: SdkClient[] = [];
  for (const [index, client] of clients.entries()) {
    const host = spread[index] ?? '';
    if (host === most || !kept.has(host)) kept.add(host);
    else ended.push(client);
  }
  await Promise.all(
    ended.map(async (client) => {
      await client.transport.terminateSession();
      await client.close();
    }),
  );
  const left = clients.filter((client) => !ended.includes(client));
  await untilCounted('shrunk', left.length);
  const failures: unknown[] = [];
  let going = true;
  const running = left.map(async (client) => {
    while (going) {
      await client.call('slow', { ms: 100 }).catch((error: unknown) => failures.push(error));
    }
  });
  await declare('shrunk', { replicas: 1 });
  const [staying] = await untilReady('shrunk', 1);
  expect(staying && nameOf(staying)).toBe(most);
  expect(new Set(await hostsOf(left))).toEqual(new Set([most]));
  going = false;
  await Promise.all(running);
  expect(failures).toEqual([]);
  await Promise.all(left.map((client) => client.close()));
});

test('to zero when nobody uses it, and back: fifty clients wait for one start', { timeout: 240_000 }, async () => {
  await declare('asleep');
  await untilReady('asleep', 1);
  const session = await openSession(balancer.backendUrl('asleep'));
  expect(await session.call('put', { value: 'kept in memory' })).toMatchObject({ calls: 1 });
  // Before, it would be let go while it starts, where that takes longer.
  await declare('asleep', { scaling: { toZeroAfter: '5s', startTimeout: '30s' }, sessions: { idleTimeout: '5s' } });
  await untilReady('asleep', 0);
  await waitFor('it to say so', async () => (await conditionsOf('asleep'))['Ready']?.reason === 'ScaledToZero');

  const waiting = Promise.all(Array.from({ length: 50 }, () => connectSdkClient(balancer.backendUrl('asleep'))));
  const again = session.call('get');
  const clients = await waiting;
  const hosts = new Set(await hostsOf(clients));
  expect(hosts.size).toBe(1);
  expect(await again).toMatchObject({ value: null });
  expect(hosts).toEqual(new Set((await podsOf('asleep')).map(nameOf)));
  await Promise.all(clients.map((client) => client.close()));
});

test('a server is killed: it is started again, and sessions that were idle go on in new ones', { timeout: 180_000 }, async () => {
  await declare('killed');
  const [pod] = (await untilReady('killed', 1)) as [Seen];
  const clients = await Promise.all(Array.from({ length: 5 }, () => connectSdkClient(balancer.backendUrl('killed'))));
  for (const client of clients) await client.call('put', { value: 1 });
  await killContainer(containerOf(pod).containerID);
  const answers = await Promise.all(clients.map((client) => client.call('get')));
  expect(answers.map(({ value }) => value)).toEqual(clients.map(() => null));
  const [after] = (await untilReady('killed', 1)) as [Seen];
  expect([nameOf(after), containerOf(after).restartCount]).toEqual([nameOf(pod), 1]);
  await Promise.all(clients.map((client) => client.close()));
});

test('the gateway’s own roll-out: streams are cut, calls end, clients go on with their sessions', { timeout: 300_000 }, async () => {
  await declare('served', { replicas: 1 });
  await untilReady('served', 1);
  const session = await openSession(balancer.backendUrl('served'));
  await session.call('put', { value: 'kept' });
  const crowd = await crowdOf('served', 9);
  const stream = await session.stream(new AbortController().signal);
  const cut = stream.text().then(
    () => 'cut',
    () => 'cut',
  );
  const before = new Set(await podNames('mcp-gateway', 'app.kubernetes.io/component=gateway'));
  const long = session.call('slow', { ms: 8_000 });
  await kubectl(['rollout', 'restart', '-n', 'mcp-gateway', 'deployment/mcp-gateway']);
  await waitFor(
    'every gateway to be replaced',
    async () => {
      const now = await podNames('mcp-gateway', 'app.kubernetes.io/component=gateway');
      return now.length === 2 && now.every((name) => !before.has(name));
    },
    { timeoutMs: 170_000 },
  );
  expect(await long).toMatchObject({ slept: 8_000 });
  expect(await cut).toBe('cut');
  const count = crowd.answered();
  await waitFor('the clients to go on', () => crowd.answered() > count + 20);
  expect(await session.call('get')).toMatchObject({ value: 'kept' });
  await crowd.stop();
  expect(crowd.failures).toEqual([]);
});
