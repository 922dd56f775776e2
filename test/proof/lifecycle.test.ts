// Start and stop leave nothing behind; resource files take effect while everything runs; crashed servers come back.

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../harness/free-port.ts';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post } from '../harness/mcp-http.ts';
import { descendantsOf, survivors } from '../harness/processes.ts';
import { waitForReplicas } from '../harness/replicas.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { waitFor } from '../harness/wait-for.ts';

const scratch = createScratch();
let gateway: Gateway | undefined;

afterEach(async () => {
  const running = gateway;
  gateway = undefined;
  await running?.stop();
});
afterAll(() => scratch.remove());

const counter = (name: string, spec: Record<string, unknown> & { env?: Record<string, string> } = {}) =>
  serverBackend(name, 'counter-server', { ...spec, env: { COUNTER_JOURNAL: scratch.journalPath(name), ...spec.env } });
const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'lifecycle', version: '1' } },
};
const status = async (url: string): Promise<number> => (await post(url, initialize)).status;

describe('start and stop', () => {
  test('health, readiness and metrics; SIGTERM ends everything (the harness checks it)', async () => {
    gateway = await startGateway({ workers: 2, resources: [counter('a', { replicas: 2 }), counter('b')] });
    await waitForReplicas(gateway.backendUrl('a'), 2);
    for (const path of ['/healthz', '/readyz']) expect((await fetch(`${gateway.url}${path}`)).status, path).toBe(200);
    expect(await (await fetch(`${gateway.admin}/metrics`)).text()).toMatch(/^# TYPE \w+ counter$/m);
    expect(gateway.pids().length).toBeGreaterThanOrEqual(1 + 2 + 3);
    expect(existsSync(join(gateway.home, 'gateway.json'))).toBe(true);
  });

  test('SIGINT ends it as well, with requests in flight', async () => {
    const running = await startGateway({ resources: [counter('slow')] });
    const processes = running.pids();
    const session = await openSession(running.backendUrl('slow'));
    const call = session.call('slow', { ms: 300, tag: 'in flight' }).catch((error: unknown) => error);
    await waitFor('the call', () => scratch.journal('slow').some(({ tag }) => tag === 'in flight'));
    await running.kill('SIGINT');
    // Drained, not cut: it was short enough.
    expect(await call).toMatchObject({ slept: 300 });
    expect(survivors(processes)).toEqual([]);
    expect(existsSync(join(running.home, 'gateway.json'))).toBe(false);
    running.removeHome();
  });

  test('a port that is taken: the second gateway says so and leaves, the first goes on', { timeout: 120_000 }, async () => {
    const listen = ['--listen', `127.0.0.1:${await freePort()}`];
    gateway = await startGateway({ resources: [counter('first')], args: listen });
    expect(gateway.url).toBe(`http://${listen[1]}`);
    const second = await startGateway({ resources: [], args: listen, wait: false });
    await waitFor('the second to leave', () => second.child.exitCode !== null, { timeoutMs: 45_000 });
    expect(second.child.exitCode, second.logs()).toBeGreaterThan(0);
    second.removeHome();
    await openSession(gateway.backendUrl('first'));
  });

  test('what a killed supervisor left behind is ended by the next start with the same home', { timeout: 120_000 }, async () => {
    const home = mkdtempSync(join(tmpdir(), 'gw-'));
    try {
      const first = await startGateway({ home, resources: [counter('orphan')] });
      await openSession(first.backendUrl('orphan'));
      const processes = first.pids();
      expect(processes.length).toBeGreaterThanOrEqual(3);
      await first.kill('SIGKILL');
      gateway = await startGateway({ home, resources: [counter('orphan')] });
      expect(survivors(processes)).toEqual([]);
      await openSession(gateway.backendUrl('orphan'));
      await gateway.stop();
      gateway = undefined;
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

  test.each([
    ['an Envoy that is none', { env: { ENVOY_BIN: process.execPath } }, /envoy/i],
    ['a listen address that cannot be', { args: ['--listen', '203.0.113.1:8080'] }, /./],
    ['a listen address beyond loopback, without tokens', { args: ['--listen', '0.0.0.0:0'] }, /loopback|127\.0\.0\.1/i],
    ['an unknown setting', { args: ['--config', '/nonexistent/gateway.yaml'] }, /gateway\.yaml/],
  ])('%s: it says so in a line, leaves with an error, and leaves no process', { timeout: 60_000 }, async (_name, options, message) => {
    const running = await startGateway({ resources: [counter('never')], wait: false, ...options });
    const seen = new Map<number, ReturnType<typeof descendantsOf>[number]>();
    const watch = setInterval(() => {
      for (const process of descendantsOf(running.child.pid as number)) seen.set(process.pid, process);
    }, 50);
    try {
      await waitFor('it to leave', () => running.child.exitCode !== null || running.child.signalCode !== null, { timeoutMs: 45_000 });
    } finally {
      clearInterval(watch);
    }
    expect(running.child.exitCode, running.logs()).toBeGreaterThan(0);
    expect(running.logs()).toMatch(message);
    expect(running.logs()).not.toMatch(/^\s+at .*\(.*:\d+:\d+\)$/m);
    expect(survivors([...seen.values()])).toEqual([]);
    expect(existsSync(join(running.home, 'gateway.json'))).toBe(false);
    running.removeHome();
  });
});

describe('resource files while it runs', () => {
  test('a file that comes, changes and goes takes effect, and others keep their sessions', { timeout: 120_000 }, async () => {
    gateway = await startGateway({ resources: [counter('steady')] });
    const running = gateway;
    const steady = await openSession(running.backendUrl('steady'));
    await steady.call('put', { value: 'steady' });
    expect(await status(running.backendUrl('late'))).toBe(404);

    running.writeResource(counter('late'));
    await waitFor('the new backend', async () => (await status(running.backendUrl('late'))) === 200, { timeoutMs: 30_000 });
    const late = await openSession(running.backendUrl('late'));
    const { pid } = await late.call('put', { value: 'late' });

    // A policy changes without a restart: the session keeps its state.
    running.writeResource(counter('late', { access: { tools: { allow: ['*'], deny: ['echo'] } } }));
    const tools = async () => {
      const answer = await late.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
      const list = answer.messages[0]?.result as { tools: { name: string }[] };
      return list.tools.map(({ name }) => name);
    };
    await waitFor('the new rule', async () => !(await tools()).includes('echo'), { timeoutMs: 20_000 });
    expect(await late.call('get')).toMatchObject({ pid, value: 'late' });

    // A command changes: another process for new sessions; the old one keeps what it has.
    running.writeResource(counter('late', { env: { COUNTER_JSON: '1' } }));
    const newcomer = async () => (await (await openSession(running.backendUrl('late'))).call('whoami')).pid;
    await waitFor('another process', async () => (await newcomer()) !== pid, { timeoutMs: 30_000 });
    expect(await late.call('get')).toMatchObject({ pid, value: 'late' });

    // More replicas, without touching the one that runs.
    running.writeResource(counter('late', { env: { COUNTER_JSON: '1' }, replicas: 2 }));
    await waitForReplicas(running.backendUrl('late'), 2);

    // A file that is broken changes nothing.
    running.writeResource({ ...counter('late'), spec: { nonsense: true } });
    await waitFor('the complaint', () => /nonsense/.test(running.logs()), { timeoutMs: 20_000 });
    expect(await status(running.backendUrl('late'))).toBe(200);

    const lateProcesses = new Set([...scratch.journal('late')].map((entry) => entry.pid));
    running.removeResource('late');
    await waitFor('the backend to go', async () => (await status(running.backendUrl('late'))) === 404, { timeoutMs: 20_000 });
    await waitFor('its processes to end', () => running.pids().every((process) => !lateProcesses.has(process.pid)), { timeoutMs: 20_000 });

    expect(await steady.call('get')).toMatchObject({ value: 'steady', calls: 2 });
    expect(scratch.journal('steady').filter(({ event }) => event === 'started')).toHaveLength(1);
  });
});

describe('servers that crash', () => {
  test('are started again, also many times; output goes to a file per process', { timeout: 120_000 }, async () => {
    gateway = await startGateway({ resources: [counter('crashing')] });
    const url = gateway.backendUrl('crashing');
    const session = await openSession(url);
    for (let crash = 0; crash < 3; crash += 1) {
      const { pid } = await session.call('whoami');
      process.kill(pid, 'SIGKILL');
      await waitFor('another process', async () => (await session.call('whoami')).pid !== pid, { timeoutMs: 40_000 });
    }
    const files = readdirSync(gateway.home, { recursive: true }).map(String);
    expect(files.filter((file) => file.includes('crashing') && file.endsWith('.log'))).not.toEqual([]);
  });

  test('a server that never starts: a tool call is told so in band, other requests get 503 with Retry-After', {
    timeout: 120_000,
  }, async () => {
    gateway = await startGateway({
      resources: [
        serverBackend('broken', 'counter-server', { env: { COUNTER_FAIL_START: '1' }, scaling: { startTimeout: '2s' } }),
        backend('missing', { image: 'exec:./no-such-program', scaling: { startTimeout: '2s' } }),
      ],
    });
    for (const name of ['broken', 'missing']) {
      const answer = await post(gateway.backendUrl(name), initialize);
      expect([answer.status, answer.messages[0]], answer.text).toMatchObject([
        503,
        { jsonrpc: '2.0', id: 1, error: { code: expect.any(Number) } },
      ]);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
  });
});
