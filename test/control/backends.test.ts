// `mcp-gateway backends` as administrators run it, against a real gateway: what is well, what is not and why, logs, and a new start.

import { execFile, spawn, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Adapter } from '../../src/api/adapter-operations.ts';
import { type Gateway, MAIN, startGateway } from '../harness/gateway.ts';
import { openSession } from '../harness/mcp-http.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type RawUpstream, startRawUpstream } from '../servers/raw-upstream.ts';

const scratch = createScratch();
let gateway: Gateway;
let upstream: RawUpstream;

interface Outcome {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const environment = () => ({ PATH: process.env['PATH'], HOME: scratch.folder, MCP_GATEWAY_HOME: gateway.home });

const run = (...args: readonly string[]): Promise<Outcome> => mcpGateway('backends', ...args);

function mcpGateway(...args: readonly string[]): Promise<Outcome> {
  return new Promise((done) => {
    execFile(process.execPath, [MAIN, ...args], { env: environment(), timeout: 30_000 }, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

async function get(name: string): Promise<Adapter> {
  const { code, stdout, stderr } = await run('get', name, '--json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as Adapter;
}

const becomes = (name: string, health: Adapter['health']) =>
  waitFor(`${name} to be ${health}`, async () => (await get(name)).health === health, { timeoutMs: 45_000 });

/** Both of its processes are new. One that is restarted again and again would never get so far as to write a line. */
async function restartCounter(): Promise<void> {
  const pids = async () => (await get('counter')).instances.filter(({ state }) => state === 'ready').map(({ pid }) => pid);
  const old = new Set(await pids());
  await run('restart', 'counter');
  // The old ones finish what they have, for half a minute.
  await waitFor('two new processes', async () => (await pids()).filter((pid) => pid !== null && !old.has(pid)).length === 2);
}

beforeAll(async () => {
  upstream = await startRawUpstream();
  gateway = await startGateway({
    resources: [
      serverBackend('counter', 'counter-server', { replicas: 2, env: { COUNTER_JOURNAL: scratch.journalPath('counter') } }),
      serverBackend('unwell', 'counter-server', { healthCheck: { path: '/nowhere' }, scaling: { startTimeout: '10s' } }),
      backend('far', { url: upstream.url, healthCheck: { path: '/healthz' } }),
      backend('image', { image: 'ghcr.io/example/server:1.2' }),
    ],
  });
  await becomes('counter', 'healthy');
  await becomes('far', 'healthy');
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  scratch.remove();
});

describe('backends list', () => {
  test('shows how each is doing, and says what is wrong', async () => {
    await openSession(gateway.backendUrl('counter'));
    await waitFor('the reason', async () => (await get('unwell')).message.includes('answered'));
    const { code, stdout, stderr } = await run('list');
    expect([code, stderr]).toEqual([0, '']);
    const [heading, ...rows] = stdout.split('\n');
    expect(heading).toMatch(/^NAME +HEALTH +READY +SESSIONS +IMAGE +URL$/);
    const url = gateway.backendUrl('counter');
    expect(rows[0]).toMatch(/^counter +healthy +2\/2 +[1-9]\d* +exec:\S+ +\S+$/);
    expect(rows[0]?.endsWith(url)).toBe(true);
    expect(rows[1]).toMatch(/^far +healthy +1\/1 +0 +http:\S+ +/);
    expect(rows[2]).toMatch(/^image +unhealthy +0\/1 +0 +ghcr\.io\/example\/server:1\.2 +/);
    expect(rows[3]).toMatch(/^unwell +unhealthy +0\/1 +/);
    expect(rows.slice(4).join('\n')).toMatch(/^\nimage: .+\nunwell: .*GET \/nowhere answered 400.*\n$/);
  });

  test('is Microsoft’s list of adapters for programs, without the values of variables', async () => {
    const { stdout } = await run('list', '--json');
    const list = JSON.parse(stdout) as Adapter[];
    expect(list.map(({ id, imageName, imageVersion }) => [id, imageName, imageVersion])).toContainEqual([
      'image',
      'ghcr.io/example/server',
      '1.2',
    ]);
    expect(list[0]?.env).toEqual([{ name: 'COUNTER_JOURNAL', from: 'value' }]);
    expect(stdout).not.toContain(scratch.journalPath('counter'));
  });
});

describe('backends get', () => {
  test('shows one with its instances', async () => {
    const { stdout } = await run('get', 'counter');
    expect(stdout).toMatch(/^counter\n {2}health +healthy\n/);
    expect(stdout).toMatch(/\n {2}env +COUNTER_JOURNAL\n/);
    expect(stdout).toMatch(
      /\n# +INSTANCE +STATE +PID +ADDRESS +SESSIONS +RESTARTS +SINCE +ERROR\n0 +\S+ +ready +\d+ +127\.0\.0\.1:\d+ +\d+ +0 +\d+[sm] ago\n1 /,
    );
  });

  test('one that nobody declared is an error', async () => {
    expect(await run('get', 'nobody')).toEqual({ code: 1, stdout: '', stderr: 'mcp-gateway: there is no backend nobody\n' });
  });
});

describe('backends logs', () => {
  test('prints the last lines of an instance', async () => {
    const all = await run('logs', 'counter');
    expect([all.code, all.stderr]).toEqual([0, '']);
    expect(all.stdout.split('\n').length).toBeGreaterThan(1);
    const last = await run('logs', 'counter', '--instance', '1', '--lines', '1');
    expect(last.stdout).toMatch(/^[^\n]+\n$/);
  });

  test('into a pipe that nobody reads is no error', async () => {
    const command = `"${process.execPath}" "${MAIN}" backends logs counter | true`;
    const { status, stderr } = spawnSync('sh', ['-c', command], { env: environment(), encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });

  test('that is followed ends when nobody reads it any more', async () => {
    const command = `"${process.execPath}" "${MAIN}" backends logs counter --follow | head -n 1`;
    const following = spawn('sh', ['-c', command], { env: environment() });
    const ended = new Promise((resolve) => following.once('exit', resolve));
    let over = false;
    void ended.then(() => {
      over = true;
    });
    // Whoever has gone is noticed with the next line.
    await waitFor('the end', async () => {
      await restartCounter();
      return over;
    });
    expect(await ended).toBe(0);
  });

  test.each([
    [['counter', '--instance', '999'], expect.stringMatching(/^mcp-gateway: counter has \d+ instances\n$/)],
    [['far'], 'mcp-gateway: far runs elsewhere: its log is there\n'],
    [['nobody'], 'mcp-gateway: there is no backend nobody\n'],
  ])('%j: says why not', async (args, why) => {
    expect(await run('logs', ...args)).toEqual({ code: 1, stdout: '', stderr: why });
  });

  test('goes on with what is written, until it is stopped', async () => {
    const following = spawn(process.execPath, [MAIN, 'backends', 'logs', 'counter', '--follow', '--lines', '0'], { env: environment() });
    const ended = new Promise((resolve) => following.once('exit', (code, signal) => resolve(signal ?? code)));
    let seen = '';
    following.stdout.setEncoding('utf8').on('data', (text: string) => {
      seen += text;
    });
    // Until it has begun to follow, a restart would be missed: each writes the lines of a start.
    await waitFor('a line', async () => {
      await restartCounter();
      return seen !== '';
    });
    following.kill('SIGINT');
    expect(await ended).toBe(0);
  });
});

describe('backends restart', () => {
  test('starts new processes, and the old ones serve their sessions meanwhile', async () => {
    await becomes('counter', 'healthy');
    const session = await openSession(gateway.backendUrl('counter'));
    await session.call('put', { value: 'kept' });
    const old = new Set((await get('counter')).instances.map(({ pid }) => pid));
    expect(await run('restart', 'counter')).toEqual({
      code: 0,
      stdout: 'counter is being restarted: see mcp-gateway backends get counter\n',
      stderr: '',
    });
    // The old ones finish what they have, for half a minute.
    await waitFor('two new processes', async () => {
      const { instances } = await get('counter');
      return instances.filter(({ pid, state }) => pid !== null && !old.has(pid) && state === 'ready').length === 2;
    });
    expect((await session.call('get'))['value']).toBe('kept');
  });

  test.each([
    ['far', 'far runs elsewhere: restart it there'],
    ['image', 'image cannot run here: see its message'],
    ['nobody', 'there is no backend nobody'],
  ])('%s: says why not', async (name, why) => {
    expect(await run('restart', name)).toEqual({ code: 1, stdout: '', stderr: `mcp-gateway: ${why}\n` });
  });
});

describe('client-config', () => {
  test('prints what a client reads, and nothing else', async () => {
    const { code, stdout, stderr } = await mcpGateway('client-config', 'vscode', 'counter');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ servers: { counter: { type: 'http', url: gateway.backendUrl('counter') } } });
    expect(stderr).toBe('this belongs into .vscode/mcp.json\n');
    const all = await mcpGateway('client-config', 'cursor');
    expect(Object.keys((JSON.parse(all.stdout) as { mcpServers: object }).mcpServers)).toEqual(['counter', 'far', 'image', 'unwell']);
  });

  test('clients and backends that nobody knows are errors', async () => {
    expect(await mcpGateway('client-config', 'cursor', 'nobody')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'mcp-gateway: there is no backend nobody: see mcp-gateway backends list\n',
    });
    const { code, stderr } = await mcpGateway('client-config', 'emacs');
    expect([code, stderr]).toEqual([2, expect.stringContaining('claude-code, claude-desktop, cline')]);
  });
});

test('help has examples', async () => {
  for (const command of ['list', 'get', 'logs', 'restart']) {
    const { code, stdout } = await run(command, '--help');
    expect([code, stdout]).toEqual([0, expect.stringContaining(`$ mcp-gateway backends ${command}`)]);
  }
});
