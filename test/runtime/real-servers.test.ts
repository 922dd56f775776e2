// The examples as they are shipped, run by the local runtime, used by unmodified SDK clients.

import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createResourceLoader } from '../../src/config/resource-files.ts';
import { descendantsOf, survivors } from '../harness/processes.ts';
import { createWorld, until, type World } from './world.ts';

const EXAMPLES = resolve(dirname(fileURLToPath(import.meta.url)), '../../examples/local');
const INSTALL_MS = 180_000;

let world: World;
beforeAll(async () => {
  const { backends } = await createResourceLoader({ folder: EXAMPLES }).load();
  world = await createWorld();
  world.apply(...backends);
  await world.runtime.whenSettled(AbortSignal.timeout(INSTALL_MS));
}, INSTALL_MS);
afterAll(() => world.close());

const urlOf = (name: string) => new URL(`http://${world.instances(name)[0]?.address}/mcp`);

async function connect(name: string) {
  const client = new Client({ name: 'test', version: '1' }, { capabilities: { roots: {} } });
  client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: 'file:///here' }] }));
  const transport = new StreamableHTTPClientTransport(urlOf(name));
  await client.connect(transport as Parameters<Client['connect']>[0]);
  return { client, transport };
}

const serversOf = (bridge: number) => descendantsOf(bridge).filter(({ command }) => command.includes('server-memory'));

it('both examples are ready', () => {
  expect(world.runtime.status()).toMatchObject([
    { name: 'everything', desired: 1, ready: 1, message: '' },
    { name: 'memory', desired: 1, ready: 1, message: '' },
  ]);
});

describe('server-everything', () => {
  it('works, and its probes leave no session behind', async () => {
    const { client } = await connect('everything');
    const progress: number[] = [];
    const onprogress = ({ progress: done }: { progress: number }): void => void progress.push(done);
    await client.callTool({ name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 2 } }, undefined, { onprogress });
    expect(progress).toEqual([1, 2]);
    await client.close();
    const opened = readFile(world.status('everything').instances[0]?.log ?? '', 'utf8');
    const probes = (await opened).match(/Received session termination request/g)?.length ?? 0;
    const sessions = (await opened).match(/Session initialized/g)?.length ?? 0;
    expect(probes).toBeGreaterThan(0);
    // The client's own session (closed without DELETE), and at most the probe under way.
    expect(sessions - probes).toBeLessThanOrEqual(2);
  });
});

describe('server-memory behind the bridge', () => {
  it('gives each session a process of its own and keeps it for the session', async () => {
    const [bridge] = world.pids('memory');
    const [one, two] = [await connect('memory'), await connect('memory')];
    expect(one.transport.sessionId).not.toBe(two.transport.sessionId);
    expect(serversOf(bridge as number)).toHaveLength(2);
    const entities = [{ name: 'sun', entityType: 'star', observations: ['hot'] }];
    await one.client.callTool({ name: 'create_entities', arguments: { entities } });
    expect(JSON.stringify(await one.client.callTool({ name: 'read_graph', arguments: {} }))).toContain('sun');
    const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => (at % 2 === 0 ? one : two).client.listTools()));
    expect(answers.every(({ tools }) => tools.length === answers[0]?.tools.length)).toBe(true);
    await one.transport.terminateSession();
    await until('one process left', () => serversOf(bridge as number).length === 1);
    await two.client.ping();
    await Promise.all([one.client.close(), two.client.close()]);
  });

  it('a session whose process is killed is not found; others live', async () => {
    const [bridge] = world.pids('memory');
    const before = new Set(serversOf(bridge as number).map(({ pid }) => pid));
    const one = await connect('memory');
    const victim = serversOf(bridge as number).find(({ pid }) => !before.has(pid));
    const two = await connect('memory');
    process.kill(victim?.pid as number, 'SIGKILL');
    await until('the session to be gone', () =>
      one.client.ping().then(
        () => false,
        (error: Error) => error.message.includes('Session not found'),
      ),
    );
    await two.client.ping();
    await Promise.all([one.client.close(), two.client.close()]);
  });

  it('comes back as a new instance after kill -9, without leaving servers behind', async () => {
    const [bridge] = world.pids('memory');
    const [instance] = world.instances('memory');
    const { client } = await connect('memory');
    const servers = serversOf(bridge as number);
    expect(servers.length).toBeGreaterThan(0);
    process.kill(bridge as number, 'SIGKILL');
    await until('another instance', () => world.instances('memory').some(({ id, state }) => id !== instance?.id && state === 'ready'));
    await until('the servers gone', () => survivors(servers).length === 0);
    await expect(client.ping()).rejects.toThrow('fetch failed');
    await client.close().catch(() => undefined);
    const again = await connect('memory');
    await again.client.ping();
    await again.client.close();
  });

  it('a client of the modern era falls back to a session', async () => {
    const client = new ModernClient({ name: 'modern', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new ModernTransport(urlOf('memory')));
    expect((await client.listTools()).tools.length).toBeGreaterThan(0);
    await client.close();
  });
});
