// The audit log of a whole gateway: one line per decision that matters, by whichever sidecar, to a file or to standard output.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post } from '../harness/mcp-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { waitFor } from '../harness/wait-for.ts';

type Line = Readonly<Record<string, unknown>>;

const counter = serverBackend('counter', 'counter-server', { access: { tools: { deny: ['denied_*'] } } });
const headers = { authorization: 'Bearer top-secret-token' };

let folder: string;
let file: string;
let gateway: Gateway;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'audit-'));
  file = join(folder, 'audit.log');
  gateway = await startGateway({ workers: 2, resources: [counter], env: { MCP_GATEWAY_AUDIT_LOG: file } });
});
afterAll(async () => {
  await gateway?.stop();
  rmSync(folder, { recursive: true });
});

const linesOf = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{"time"'))
    .map((line) => JSON.parse(line) as Line);
const lines = (wanted: (line: Line) => boolean): Line[] => (existsSync(file) ? linesOf(readFileSync(file, 'utf8')).filter(wanted) : []);

test('a call and a refusal leave a line each; nothing else does, and no token is in it', async () => {
  const session = await openSession(gateway.backendUrl('counter'), { headers });
  await session.call('put', { value: 'an-argument' });
  await expect(session.call('denied_tool', { value: 'an-argument' })).rejects.toThrow('Unknown tool');
  await post(gateway.backendUrl('nobody'), { jsonrpc: '2.0', id: 1, method: 'ping' });
  const found = await waitFor('three lines', () => {
    const all = lines(() => true);
    return all.length >= 3 && all;
  });
  const caller = { issuer: 'local', subject: 'local' };
  expect(found).toHaveLength(3);
  expect(found.find(({ event }) => event === 'tool_call')).toEqual({
    ...{
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      event: 'tool_call',
      requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    },
    ...{ caller, tenant: 'default', backend: 'counter', method: 'tools/call', tool: 'put', session: expect.stringMatching(/^\S{16,}$/) },
  });
  expect(found.find(({ tool }) => tool === 'denied_tool')).toMatchObject({
    event: 'refusal',
    reason: 'tool_not_allowed',
    caller,
    backend: 'counter',
  });
  expect(found.find(({ reason }) => reason === 'unknown_backend')).toMatchObject({ event: 'refusal' });
  const text = readFileSync(file, 'utf8');
  for (const secret of ['top-secret-token', 'an-argument', session.id]) expect(text).not.toContain(secret);
});

test('a recovered call leaves one line', async () => {
  const session = await openSession(gateway.backendUrl('counter'));
  const { pid } = await session.call('put', { value: 1 });
  process.kill(pid, 'SIGUSR2');
  let calls = 0;
  await waitFor('a recovery', async () => {
    calls += 1;
    return (await session.call('get'))['value'] === null;
  });
  await waitFor('as many lines as calls', () => lines(({ tool }) => tool === 'get').length >= calls);
  // What comes later than these is written after them.
  await session.call('list').catch(() => {});
  await waitFor('the last line', () => lines(({ tool }) => tool === 'list').length > 0);
  expect(new Set(lines(({ tool }) => tool === 'get').map(({ requestId }) => requestId)).size).toBe(calls);
  expect(lines(({ tool }) => tool === 'get')).toHaveLength(calls);
});

test('standard output is the gateway’s own', async () => {
  const other = await startGateway({ workers: 2, resources: [counter], env: { MCP_GATEWAY_AUDIT_LOG: 'stdout' } });
  let output = '';
  other.child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  try {
    const session = await openSession(other.backendUrl('counter'));
    await session.call('put', { value: 1 });
    await waitFor('the line', () => linesOf(output).some(({ tool }) => tool === 'put'));
  } finally {
    await other.stop();
  }
});
