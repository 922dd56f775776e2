// Unmodified clients meet refusals: the model gets a sentence, the client stays connected, and the next allowed call works.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { killAndWait } from '../harness/processes.ts';
import { type RecordingProxy, startRecordingProxy } from '../harness/recording-proxy.ts';
import { serverBackend } from '../harness/resource.ts';
import { tenant } from '../harness/tenant.ts';
import { writeTenant } from '../harness/tenant-use.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type ConnectedClient, type MatrixClient, matrixClients } from './matrix-clients.ts';

const START_TIMEOUT_MS = 60_000;
/** A tool that is refused, and one that never is. */
const REFUSED = 'test_simple_text';
const FREE = 'test_multiple_content_types';
const UNLIMITED = { tools: { deny: ['test_image_*'] } };
const QUOTA = 'The quota is used up for now. Try again later.';
const BUSY = 'Too many requests are under way. Try again shortly.';
const GONE = 'The server is not available at the moment. Try again shortly.';

const kinds = matrixClients.filter(({ name }) => name !== 'Inspector CLI');
let gateway: Gateway;
let proxy: RecordingProxy;
const connected = new Set<ConnectedClient>();

/** Only where there is no instance the wait for one is short: it is also what a process gets to become ready. */
const backendOf = (replicas: number) =>
  serverBackend('fixture', 'fixture-server', { replicas, ...(replicas === 0 && { scaling: { startTimeout: '1s' } }) });

beforeAll(async () => {
  // Without tokens everybody is of the tenant `default`, whose limits the tests change as they go.
  gateway = await startGateway({ workers: 2, resources: [tenant('default', UNLIMITED), backendOf(1)] });
  proxy = await startRecordingProxy(gateway.url);
  await waitFor('the server to be up', async () => calls(await connect(kinds[0] as MatrixClient), FREE).then(() => true), {
    timeoutMs: START_TIMEOUT_MS,
  });
});

afterAll(async () => {
  await Promise.all([...connected].map((client) => client.close().catch(() => {})));
  await proxy?.stop();
  await gateway?.stop();
});

async function connect({ connect: open }: MatrixClient): Promise<ConnectedClient> {
  const client = await open(proxy.url(gateway.backendUrl('fixture')));
  connected.add(client);
  return client;
}

/** What a call comes to: the text of a result, of an `isError` result, or of an error. */
const outcome = (client: ConnectedClient, tool: string): Promise<string> =>
  client.callTool(tool, {}).catch((error: unknown) => String(error));
const calls = async (client: ConnectedClient, tool: string): Promise<void> =>
  expect(await outcome(client, tool)).toContain(tool === FREE ? 'Multiple content types' : 'simple text');

/** Both sidecars have it: the same several times in a row. */
async function settled(what: string, holds: () => Promise<boolean>): Promise<void> {
  let inRow = 0;
  await waitFor(what, async () => {
    inRow = (await holds()) ? inRow + 1 : 0;
    return inRow >= 6;
  });
}

/** Puts limits into force, and takes them back. */
async function under(spec: object, client: ConnectedClient, sentence: string, whileInForce: () => Promise<void>): Promise<void> {
  writeTenant(gateway, 'default', { ...UNLIMITED, ...spec });
  await settled('the limit', async () => (await outcome(client, REFUSED)).includes(sentence));
  await whileInForce();
  writeTenant(gateway, 'default', UNLIMITED);
  await settled('its end', async () => (await outcome(client, REFUSED)).includes('simple text'));
}

describe.each(kinds)('$name', (kind) => {
  test('goes on after a quota, with other tools and then with the same one', async () => {
    const client = await connect(kind);
    const quotas = [{ requests: 0, per: '365d', tool: REFUSED }];
    await under({ quotas }, client, QUOTA, async () => {
      expect(await outcome(client, REFUSED)).toContain('mcpgateway.dev/retryAfterMs');
      await calls(client, FREE);
      expect(await client.listTools()).toContain(REFUSED);
    });
    await calls(client, FREE);
    await client.close();
  });

  test('goes on after too many requests under way', async () => {
    const client = await connect(kind);
    await under({ limits: { concurrentRequests: 0 } }, client, BUSY, async () => {});
    await calls(client, FREE);
    expect(await client.listTools()).toContain(REFUSED);
    await client.close();
  });

  test('goes on after a tool that it may not use', async () => {
    const client = await connect(kind);
    expect((await client.listTools()).filter((name) => name.startsWith('test_image_'))).toEqual([]);
    // The AI SDK cannot call what it has not seen: it saw the tool before the rule was there.
    writeTenant(gateway, 'default', { tools: { deny: ['test_image_*', REFUSED] } });
    await settled('the rule', async () => (await outcome(client, REFUSED)).includes(`Unknown tool: ${REFUSED}`));
    await calls(client, FREE);
    writeTenant(gateway, 'default', UNLIMITED);
    await settled('its end', async () => (await outcome(client, REFUSED)).includes('simple text'));
    await client.close();
  });
});

test('all of them go on after a time without any instance', { timeout: 120_000 }, async () => {
  const clients = await Promise.all(kinds.map(connect));
  for (const client of clients) await calls(client, FREE);
  gateway.writeResource(backendOf(0));
  await waitFor(
    'no instance',
    async () => {
      const running = gateway.pids().filter(({ command }) => command.includes('fixture-server'));
      await Promise.all(running.map(({ pid }) => killAndWait(pid)));
      return (await outcome(clients[0] as ConnectedClient, FREE)).includes(GONE) && running.length === 0;
    },
    { timeoutMs: START_TIMEOUT_MS },
  );
  for (const text of await Promise.all(clients.map((client) => outcome(client, FREE)))) {
    expect(text).toContain(GONE);
    expect(text).toContain('"mcpgateway.dev/retryAfterMs":5000');
  }
  gateway.writeResource(backendOf(1));
  await waitFor('an instance', async () => (await outcome(clients[0] as ConnectedClient, FREE)).includes('Multiple content types'), {
    timeoutMs: START_TIMEOUT_MS,
  });
  for (const client of clients) await calls(client, FREE);
  await Promise.all(clients.map((client) => client.close()));
});

describe('a quota on server/discover', () => {
  const auto = kinds.find(({ name }) => name.endsWith('auto')) as MatrixClient;

  test('does not make a modern client speak the old protocol', async () => {
    writeTenant(gateway, 'default', { quotas: [{ requests: 0, per: '365d', countAll: true }] });
    const from = proxy.exchanges.length;
    await waitFor(
      'the quota',
      async () =>
        (await connect(auto).catch(String)).toString().length > 0 &&
        proxy.exchanges.some(({ what, status }) => what === 'server/discover' && status === 503),
    );
    const seen = proxy.exchanges.slice(from).filter(({ status }) => status !== 200);
    expect(new Set(seen.map(({ what, status }) => `${what} ${status}`))).toEqual(new Set(['server/discover 503']));
    writeTenant(gateway, 'default', UNLIMITED);
    const client = await waitFor('its end', () => connect(auto));
    expect(client.era).toBe('modern');
    await client.close();
  });
});

test('on the wire no call ever had a status from 300 on: VS Code would have dropped the connection', () => {
  const statuses = proxy.exchanges.filter(({ what }) => what === 'tools/call').map(({ status }) => status);
  expect(statuses.length).toBeGreaterThan(50);
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(proxy.exchanges.filter(({ what, status }) => what === 'server/discover' && status >= 400 && status < 500)).toEqual([]);
});
