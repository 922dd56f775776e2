// What is known of a request afterwards: one structured line, and numbers on the admin address.

import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post } from '../harness/mcp-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { waitFor } from '../harness/wait-for.ts';

let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway({
    workers: 2,
    resources: [serverBackend('counter', 'counter-server', { access: { tools: { deny: ['denied_*'] } } })],
  });
});

afterAll(() => gateway?.stop());

interface Line {
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** The request lines that have been written so far and satisfy `wanted`. */
function lines(wanted: (line: Line) => boolean): Line[] {
  return gateway
    .logs()
    .split('\n')
    .filter((text) => text.startsWith('{"level"') && text.endsWith('}'))
    .map((text) => JSON.parse(text) as Line)
    .filter((line) => line.msg === 'request' && wanted(line));
}

async function metrics(): Promise<string> {
  const response = await fetch(`${gateway.admin}/metrics`);
  expect(response.headers.get('content-type')).toContain('text/plain');
  return response.text();
}

test('one line per request: who, what, where, how it ended; never a token', { timeout: 60_000 }, async () => {
  const session = await openSession(gateway.backendUrl('counter'), { headers: { authorization: 'Bearer top-secret-token' } });
  const { pid } = await session.call('whoami');
  expect(pid).toBeGreaterThan(0);
  await expect(session.call('denied_tool')).rejects.toThrow('Unknown tool');
  await session.send({ jsonrpc: '2.0', id: 9, method: 'x'.repeat(10_000) });
  const [call] = await waitFor('the line of the call', () => {
    const found = lines(({ tool }) => tool === 'whoami');
    return found.length > 0 && found;
  });
  expect(call).toMatchObject({
    backend: 'counter',
    httpMethod: 'POST',
    method: 'tools/call',
    tool: 'whoami',
    tenant: 'default',
    subject: 'local',
    status: 200,
    recovered: false,
  });
  expect(call?.['pod']).toMatch(/\S/);
  expect(call?.['requestId']).toMatch(/^[0-9a-f-]{36}$/);
  expect(call?.['durationMs']).toBeGreaterThan(0);
  const [denied] = await waitFor('the line of the refusal', () => {
    const found = lines(({ tool }) => tool === 'denied_tool');
    return found.length > 0 && found;
  });
  expect(denied).toMatchObject({ status: 200, reason: 'tool_not_allowed' });
  expect(gateway.logs()).not.toContain('top-secret-token');
  expect(gateway.logs()).not.toContain('x'.repeat(1_000));
});

test('a recovered request is one line and one count, marked', { timeout: 60_000 }, async () => {
  const session = await openSession(gateway.backendUrl('counter'));
  const { pid } = await session.call('put', { value: 1 });
  process.kill(pid, 'SIGUSR2');
  await waitFor('a recovery', async () => (await session.call('get'))['value'] === null);
  const recovered = await waitFor('the line of the recovery', () => {
    const found = lines((line) => line['recovered'] === true);
    return found.length > 0 && found;
  });
  expect(recovered).toHaveLength(1);
  expect(recovered[0]).toMatchObject({ backend: 'counter', method: 'tools/call', status: 200 });
  expect(lines(({ requestId }) => requestId === recovered[0]?.['requestId'])).toHaveLength(1);
  await waitFor('the count', async () => (await metrics()).includes('mcp_recovered_requests_total{backend="counter"} 1'));
});

test('the numbers of all sidecars are added up, and a client cannot make new series', { timeout: 60_000 }, async () => {
  const before = counted(await metrics(), 'method="other"');
  for (let index = 0; index < 20; index += 1) {
    const answer = await post(gateway.backendUrl('counter'), { jsonrpc: '2.0', id: index, method: `made/up-${index}` });
    expect(answer.status).toBe(400);
  }
  await waitFor('the counts', async () => counted(await metrics(), 'method="other"') >= before + 20);
  const text = await metrics();
  expect(text).not.toContain('made/up');
  expect(text).toMatch(/^mcp_sessions [1-9]/m);
  expect(text).toMatch(/^mcp_request_duration_seconds_bucket\{le="0\.1",backend="counter",method="tools\/call"\} \d+/m);
});

function counted(text: string, label: string): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith('mcp_requests_total{') && line.includes(label))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

test('the admin address answers this machine only by its own names', async () => {
  const { port } = new URL(gateway.admin);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: '/status', headers: { host: 'evil.example' } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on('error', reject)
      .end();
  });
  expect(status).toBe(403);
});
