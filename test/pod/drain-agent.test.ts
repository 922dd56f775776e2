// The agent beside a server: whom it asks, how long it holds the pod, and what it tells the kubelet about the server.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AgentSettings, readAgentSettings } from '../../src/runtime/pod/agent-settings.ts';
import { type DrainAgent, startDrainAgent } from '../../src/runtime/pod/drain-agent.ts';
import { freePort } from '../harness/free-port.ts';
import { startServer } from '../harness/server-process.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type Controller, startController } from './controller.ts';

const LONG = 60_000;

let folder: string;
let tokenFile: string;
let controller: Controller;
let agent: DrainAgent | undefined;
let lines: string[];
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mcp-gateway-agent-'));
  tokenFile = join(folder, 'token');
  await writeFile(tokenFile, 'first\n');
  controller = await startController();
  closers.push(() => controller.close());
  lines = [];
});
afterEach(async () => {
  // Whatever a test left undecided must not hold its end.
  controller.say(true);
  await agent?.close();
  agent = undefined;
  for (const close of closers.splice(0).reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

interface Options {
  readonly settings?: Partial<AgentSettings>;
  readonly unreachableMs?: number;
  readonly addresses?: readonly string[];
}

async function start({ settings = {}, unreachableMs = LONG, addresses }: Options = {}): Promise<string> {
  const read = readAgentSettings(['--port', '0'], {
    MCP_GATEWAY_CONTROLLER_URL: `http://localhost:${controller.port}`,
    MCP_GATEWAY_CONTROLLER_TOKEN_FILE: tokenFile,
    POD_UID: 'pod-1',
  }) as AgentSettings;
  agent = await startDrainAgent({
    settings: { ...read, ...settings },
    tell: (line) => void lines.push(line),
    timing: { intervalMs: 10, unreachableMs, reserveMs: 0 },
    ...(addresses === undefined ? {} : { resolve: async () => addresses }),
  });
  return `http://127.0.0.1:${agent.port}`;
}

/** Asks and says by and by whether it has been answered. */
function pending(url: string) {
  const state = { status: 0, text: '' };
  const done = fetch(url).then(async (response) => {
    state.text = await response.text();
    state.status = response.status;
  });
  return { state, done };
}

const asked = (count: number) => waitFor(`${count} questions`, () => controller.asked.length >= count);

describe('GET /drain', () => {
  it('is answered when the controller says that the sessions are done, and not before', async () => {
    const url = await start();
    const { state, done } = pending(`${url}/drain`);
    await asked(3);
    expect(state.status).toBe(0);
    controller.say(true);
    await done;
    expect(state).toEqual({ status: 200, text: 'drained\n' });
    expect(controller.asked[0]).toEqual({
      path: '/internal/drain/pod-1',
      host: `localhost:${controller.port}`,
      authorization: 'Bearer first',
    });
    expect(lines).toEqual([
      'the pod has to go: waiting for its sessions',
      'sessions: 1, calls: 0',
      'sessions: 0, calls: 0',
      'the pod may go: sessions are done',
    ]);
  });

  it('is one wait for all who ask, also for those who come afterwards', async () => {
    const url = await start();
    const first = pending(`${url}/drain`);
    await asked(2);
    const second = pending(`${url}/drain`);
    controller.say(true);
    await Promise.all([first.done, second.done]);
    expect(lines.filter((line) => line.startsWith('the pod'))).toHaveLength(2);
    const before = controller.asked.length;
    controller.say(false);
    expect((await fetch(`${url}/drain`)).status).toBe(200);
    expect(controller.asked).toHaveLength(before);
  });

  it('reads the token anew for each question', async () => {
    const url = await start();
    const { done } = pending(`${url}/drain`);
    await asked(1);
    await writeFile(tokenFile, 'second\n');
    await waitFor('the new token', () => controller.asked.at(-1)?.authorization === 'Bearer second');
    controller.say(true);
    await done;
  });

  it('asks the next replica when one cannot say', async () => {
    const other = await startController({ host: '127.0.0.2', port: controller.port });
    closers.push(() => other.close());
    controller.refuse(503);
    const url = await start({ addresses: ['127.0.0.1', '127.0.0.2'] });
    const { done } = pending(`${url}/drain`);
    await waitFor('the other replica', () => other.asked.length >= 2);
    expect(controller.asked.length).toBeGreaterThanOrEqual(2);
    other.say(true);
    await done;
    expect(lines.at(-1)).toBe('the pod may go: sessions are done');
  });

  it.each([401, 403, 404, 503])('takes %i for no answer, and gives up when there is none for long', async (status) => {
    controller.refuse(status);
    const url = await start({ unreachableMs: 500 });
    expect((await fetch(`${url}/drain`)).status).toBe(200);
    expect(controller.asked.length).toBeGreaterThan(0);
    expect(lines[1]).toMatch(new RegExp(`^cannot ask the controller: .*127\\.0\\.0\\.1: answered ${status}`));
    expect(lines.at(-1)).toBe('the pod may go: the controller could not be reached');
  });

  it.each([
    ['nothing listens', async () => ({ controller: { host: '127.0.0.1', port: await freePort() } }), 'ECONNREFUSED'],
    ['its name is unknown', async () => ({ controller: { host: 'controller.invalid', port: 1 } }), 'controller.invalid'],
    ['there is no token', async () => ({ tokenFile: '/nowhere/token' }), '/nowhere/token'],
  ])('gives up after a while when %s', async (_, settings, problem) => {
    const url = await start({ settings: await settings(), unreachableMs: 500 });
    expect((await fetch(`${url}/drain`)).status).toBe(200);
    expect(lines.join('\n')).toContain(problem);
    expect(lines.at(-1)).toBe('the pod may go: the controller could not be reached');
  });

  it('outlasts a controller that is away for a shorter time', async () => {
    const url = await start({ unreachableMs: LONG });
    const { state, done } = pending(`${url}/drain`);
    await asked(1);
    controller.refuse(503);
    await asked(controller.asked.length + 3);
    expect(state.status).toBe(0);
    controller.say(true);
    await done;
    expect(lines.at(-1)).toBe('the pod may go: sessions are done');
  });

  it('ends with the grace period', async () => {
    const url = await start({ settings: { graceMs: 1500 } });
    expect((await fetch(`${url}/drain`)).status).toBe(200);
    expect(controller.asked.length).toBeGreaterThan(0);
    expect(lines.at(-1)).toBe('the pod may go: the grace period is over');
  });

  it('is still answered when the agent is told to end meanwhile', async () => {
    const url = await start();
    const { state, done } = pending(`${url}/drain`);
    await asked(1);
    const closed = agent?.close();
    await asked(controller.asked.length + 2);
    expect(state.status).toBe(0);
    controller.say(true);
    await Promise.all([done, closed]);
    expect(state.status).toBe(200);
  });
});

describe('GET /probe', () => {
  it('asks a real server in MCP', async () => {
    const server = await startServer('counter-server');
    closers.push(() => server.stop());
    const { port } = new URL(server.url);
    const url = await start({ settings: { server: { host: '127.0.0.1', port: Number(port), path: '/mcp' } } });
    const first = await fetch(`${url}/probe`);
    expect([first.status, await first.text()]).toEqual([200, 'ok\n']);
    await server.stop();
    const second = await fetch(`${url}/probe`);
    expect([second.status, await second.text()]).toEqual([503, 'ECONNREFUSED\n']);
    expect(lines).toEqual(['the server: ok', 'the server: ECONNREFUSED']);
  });

  it('says what is wrong when something else answers', async () => {
    const url = await start({ settings: { server: { host: '127.0.0.1', port: controller.port, path: '/mcp' } } });
    const answer = await fetch(`${url}/probe`);
    expect([answer.status, await answer.text()]).toEqual([503, 'initialize answered 200 without a JSON-RPC response\n']);
  });

  it('tells of a server that only its own pod reaches', async () => {
    const lonely: Server = createServer().listen(0, '127.0.0.1');
    closers.push(async () => void lonely.close());
    await waitFor('it to listen', () => lonely.listening);
    const { port } = lonely.address() as { port: number };
    const url = await start({ settings: { server: { host: '127.0.0.2', port, path: '/mcp' } } });
    const answer = await fetch(`${url}/probe`);
    expect(answer.status).toBe(503);
    expect(await answer.text()).toContain('listens on 127.0.0.1 only, where nobody else reaches it: let it listen on 0.0.0.0');
  });
});

it('answers /healthz, and says what there is', async () => {
  const url = await start();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const answer = await fetch(`${url}/nonsense`);
  expect([answer.status, await answer.text()]).toEqual([404, 'GET /drain, /probe or /healthz\n']);
  expect((await fetch(`${url}/drain`, { method: 'POST' })).status).toBe(404);
});
