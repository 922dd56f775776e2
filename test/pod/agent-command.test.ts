// `mcp-gateway drain-agent` as the process that it is in a pod: from its variables, to its end by signals.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../harness/wait-for.ts';
import { type Controller, startController } from './controller.ts';

const MAIN = resolve(import.meta.dirname, '../../dist/main.js');

let folder: string;
let controller: Controller;
let agent: ChildProcess;
let output: { stdout: string; stderr: string };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mcp-gateway-agent-'));
  await writeFile(join(folder, 'token'), 'token');
  controller = await startController();
});
afterEach(async () => {
  agent.kill('SIGKILL');
  await controller.close();
  await rm(folder, { recursive: true, force: true });
});

function start(args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  agent = spawn(process.execPath, [MAIN, 'drain-agent', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    agent[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
}

const complete = () => ({
  MCP_GATEWAY_CONTROLLER_URL: `http://127.0.0.1:${controller.port}`,
  MCP_GATEWAY_CONTROLLER_TOKEN_FILE: join(folder, 'token'),
  POD_UID: 'pod-1',
});

async function listening(): Promise<string> {
  const port = await waitFor('the port', () => /listening on port (\d+)/.exec(output.stderr)?.[1]);
  return `http://127.0.0.1:${port}`;
}

async function exitCode(): Promise<number | null> {
  const [code] = (await once(agent, 'close')) as [number | null];
  return code;
}

it.each(['SIGTERM', 'SIGINT'] as const)('ends at once with %s when nobody waits', async (signal) => {
  start(['--port', '0'], complete());
  expect((await fetch(`${await listening()}/healthz`)).status).toBe(200);
  agent.kill(signal);
  expect(await exitCode()).toBe(0);
});

it('answers a wait before it ends', async () => {
  start(['--port', '0'], complete());
  const url = await listening();
  let status = 0;
  const drained = fetch(`${url}/drain`).then((response) => {
    status = response.status;
  });
  await waitFor('a question', () => controller.asked.length > 0);
  agent.kill('SIGTERM');
  const count = controller.asked.length;
  await waitFor('another question', () => controller.asked.length > count);
  expect(status).toBe(0);
  controller.say(true);
  expect(await exitCode()).toBe(0);
  await drained;
  expect(status).toBe(200);
});

describe('mistakes', () => {
  it('are told together, in one line', async () => {
    start(['--port', '70000'], { MCP_GATEWAY_CONTROLLER_URL: 'https://controller', SERVER_PORT: 'x' });
    expect(await exitCode()).toBe(2);
    expect(output.stderr).toBe(
      'mcp-gateway: MCP_GATEWAY_CONTROLLER_URL must be a URL such as http://mcp-gateway-controller.mcp-gateway:8082; ' +
        'POD_UID must be the uid of the pod (fieldRef metadata.uid); --port must be a number from 0 to 65535: got "70000"; ' +
        'SERVER_PORT must be a number from 1 to 65535: got "x"\n',
    );
  });

  it('in options are told, and help is there', async () => {
    start(['--nonsense']);
    expect(await exitCode()).toBe(2);
    expect(output.stderr).toMatch(/^mcp-gateway: Unknown option '--nonsense'.*\n$/);
    start(['--help']);
    expect(await exitCode()).toBe(0);
    expect(output.stdout).toContain('POD_UID');
  });

  it('a port that is taken ends it', async () => {
    start(['--port', String(controller.port)], complete());
    expect(await exitCode()).toBe(1);
    expect(output.stderr).toContain('EADDRINUSE');
  });
});
