// `mcp-gateway bridge` as a command: it ends when its parent does, and takes its servers with it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createPorts } from '../../src/runtime/local/ports.ts';
import { openSession } from '../harness/mcp-http.ts';
import { alive, bridgeCommand, fixtureArgs, until } from './world.ts';

const [program, ...bridgeArgs] = bridgeCommand;

let port: number;
let bridge: ChildProcess;
let stderr: string;
beforeEach(async () => {
  port = await createPorts().free();
  stderr = '';
});
afterEach(() => {
  bridge.kill('SIGKILL');
});

function start(...args: string[]): void {
  bridge = spawn(program as string, [...bridgeArgs, ...args], { stdio: ['pipe', 'ignore', 'pipe'] });
  bridge.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
}

async function withSession(): Promise<number> {
  await until('the bridge to listen', async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);
  await openSession(`http://127.0.0.1:${port}/other`);
  return until('its server', () => Number(/\[session 1\] started (\d+)/.exec(stderr)?.[1] ?? 0));
}

it.each([
  ['its input ends', () => bridge.stdin?.end()],
  ['it gets SIGTERM', () => bridge.kill('SIGTERM')],
  ['it gets SIGINT', () => bridge.kill('SIGINT')],
])('ends with its servers when %s', async (_, stop) => {
  start(
    '--port',
    String(port),
    '--path',
    '/other',
    '--idle-timeout',
    '5m',
    '--exit-with-stdin',
    '--',
    process.execPath,
    ...fixtureArgs('stdio-server'),
    '--noisy',
  );
  const server = await withSession();
  stop();
  const [code] = (await once(bridge, 'exit')) as [number];
  expect(code).toBe(0);
  expect(alive(server)).toBe(false);
});

it('does not care about its input when it is not told to', async () => {
  start('--port', String(port), '--path', '/other', '--', process.execPath, ...fixtureArgs('stdio-server'));
  bridge.stdin?.end();
  const server = await withSession();
  bridge.kill('SIGKILL');
  await until('the server to notice', () => !alive(server));
});

it.each([
  [[]],
  [['--port', '1']],
  [['--port', 'x', '--', 'true']],
  [['--port', '1', '--idle-timeout', 'soon', '--', 'true']],
  [['--nonsense', '--', 'true']],
])('says how it is used when called with %j', async (args) => {
  start(...args);
  const [code] = (await once(bridge, 'close')) as [number];
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/usage: mcp-gateway bridge --port|Unknown option '--nonsense'/);
});
