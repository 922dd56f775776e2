// The parts of checks that need no machine: limits of time, versions, addresses, and what the gateway says of a backend.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { bounded, pooled } from './bounded.ts';
import { ok } from './finding.ts';
import { backendFinding, listenerUrl } from './gateway.ts';
import { checkNode, OLDEST_NODE } from './machine.ts';

const bounds = { stop: new AbortController().signal, advice: 'wait' };

test('a check that never ends is a failure, and its work is told to end', async () => {
  let told: AbortSignal | undefined;
  const findings = await bounded(['redis'], { ...bounds, timeoutMs: 20 }, (signal) => {
    told = signal;
    return new Promise(() => {});
  });
  expect(findings).toEqual([{ check: 'redis', subject: undefined, state: 'failure', message: 'no answer within 0.02 s', advice: 'wait' }]);
  expect(told?.aborted).toBe(true);
});

test('one that throws is a failure, and one that is stopped ends at once', async () => {
  expect(await bounded(['x'], bounds, () => Promise.reject(new Error('no such thing')))).toMatchObject([
    { state: 'failure', message: 'no such thing' },
  ]);
  const stopping = new AbortController();
  const pending = bounded(['x'], { ...bounds, stop: stopping.signal }, () => new Promise(() => {}));
  stopping.abort();
  expect(await pending).toHaveLength(1);
  expect(await bounded(['x'], bounds, async () => [ok(['x'], 'well')])).toMatchObject([{ state: 'ok' }]);
});

test('many are done in their order, a few at once', async () => {
  let running = 0;
  let most = 0;
  const results = await pooled([3, 1, 2, 0], 2, async (item) => {
    running += 1;
    most = Math.max(most, running);
    for (let turn = 0; turn < item; turn += 1) await Promise.resolve();
    running -= 1;
    return item;
  });
  expect([results, most]).toEqual([[3, 1, 2, 0], 2]);
});

test('Node is as old as package.json allows, or newer', () => {
  const { engines } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { engines: { node: string } };
  expect(engines.node).toBe(`>=${OLDEST_NODE.major}.${OLDEST_NODE.minor}`);
  expect(['20.19.0', '22.1.0', '20.18.3', '18.20.0'].map((version) => checkNode(version).state)).toEqual([
    'ok',
    'ok',
    'failure',
    'failure',
  ]);
});

test.each([
  ['http://127.0.0.1:8080', undefined, { host: '127.0.0.1', port: 0 }, 'http://127.0.0.1:8080'],
  ['http://0.0.0.0:8080', undefined, { host: '0.0.0.0', port: 8080 }, 'http://127.0.0.1:8080'],
  ['http://[::]:8080', undefined, { host: '::', port: 8080 }, 'http://[::1]:8080'],
  ['https://mcp.example.com', 'https://mcp.example.com', { host: '0.0.0.0', port: 8080 }, 'http://127.0.0.1:8080'],
  ['https://mcp.example.com', 'https://mcp.example.com', { host: '127.0.0.1', port: 0 }, 'https://mcp.example.com'],
])('%s (publicUrl %s): the listener is asked, not a proxy in front of it', (announced, publicUrl, listen, url) => {
  expect(listenerUrl(announced, { publicUrl, listen })).toBe(url);
});

test('backends are as the gateway says, with something to do for each that is not well', () => {
  const instance = { id: null, state: 'backoff', pid: null, address: null, restarts: 1, since: '', error: 'x', sessions: 0 } as never;
  const shown = {
    name: 'github',
    image: 'exec:./x',
    message: '',
    replicas: { desired: 2, ready: 2, updated: 2 },
    instances: [instance],
    source: '/r/github.yaml',
  };
  expect(backendFinding({ ...shown, health: 'healthy' })).toMatchObject({ state: 'ok', message: 'healthy, 2 of 2 ready' });
  expect(backendFinding({ ...shown, health: 'stopped' })).toMatchObject({ state: 'ok' });
  expect(backendFinding({ ...shown, health: 'starting' })).toMatchObject({ state: 'warning', advice: 'wait for it, and ask again' });
  expect(backendFinding({ ...shown, health: 'degraded', message: 'it left' })).toMatchObject({
    state: 'warning',
    message: 'degraded, 2 of 2 ready: it left',
    advice: 'see what it says: "mcp-gateway backends logs github"',
  });
  const unwell = { ...shown, health: 'unhealthy' } as const;
  expect(backendFinding({ ...unwell, message: 'name the path with healthCheck: { path: … }' })).toMatchObject({
    state: 'failure',
    advice: 'correct it in /r/github.yaml',
  });
  expect(backendFinding({ ...unwell, image: 'https://x.example' }).advice).toBe(
    'see whether its server is well, or correct its url in /r/github.yaml',
  );
  expect(backendFinding({ ...unwell, instances: [] }).advice).toBe('correct it in /r/github.yaml');
});
