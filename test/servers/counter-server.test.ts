// The counter server by itself: what the proofs rely on must be true without a gateway.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CallFailed, openSession } from '../harness/mcp-http.ts';
import { connectSdkClient } from '../harness/sdk-client.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { waitFor } from '../harness/wait-for.ts';
import { readJournal } from './journal.ts';

const folder = mkdtempSync(join(tmpdir(), 'counter-'));
const journal = join(folder, 'journal');
let server: ServerProcess;
let picky: ServerProcess;

beforeAll(async () => {
  server = await startServer('counter-server', { COUNTER_JOURNAL: journal });
  picky = await startServer('counter-server', { COUNTER_UNKNOWN_SESSION: '400', COUNTER_SESSION_IDS: 'odd', COUNTER_JSON: '1' });
}, 30_000);

afterAll(async () => {
  await server?.stop();
  await picky?.stop();
  rmSync(folder, { recursive: true });
});

describe('counter server, directly', () => {
  test('each session has a state of its own', async () => {
    const [one, two] = [await openSession(server.url), await openSession(server.url)];
    await one.call('put', { value: 'first' });
    await two.call('put', { value: 'second' });
    expect(await one.call('get')).toMatchObject({ pid: server.pid, session: one.id, calls: 2, value: 'first' });
    expect(await two.call('get')).toMatchObject({ session: two.id, calls: 2, value: 'second' });
  });

  test('the journal has every message with its tag, before the answer comes', async () => {
    const session = await openSession(server.url);
    await session.call('echo', { payload: 'x', tag: 'tagged' });
    expect(readJournal(journal).filter(({ tag }) => tag === 'tagged')).toMatchObject([
      { event: 'message', pid: server.pid, session: session.id, method: 'tools/call', tool: 'echo' },
    ]);
  });

  test('told to forget, it lives on and answers 404', async () => {
    const session = await openSession(server.url);
    process.kill(server.pid, 'SIGUSR2');
    await waitFor('the server to forget', () => readJournal(journal).some(({ event }) => event === 'forgot'));
    const failed = await session.call('get').catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CallFailed);
    expect((failed as CallFailed).answer).toMatchObject({ status: 404, messages: [{ error: { code: -32001 } }] });
  });

  test('an unmodified SDK client gets notifications on its GET stream', async () => {
    const { client, call, close } = await connectSdkClient(server.url);
    const levels: unknown[] = [];
    client.fallbackNotificationHandler = async ({ method, params }) => void levels.push([method, params?.['data']]);
    await waitFor('the GET stream', () => readJournal(journal).some(({ event }) => event === 'stream'));
    await call('notify', { count: 2, tag: 'n' });
    await waitFor('two notifications', () => levels.length === 2);
    expect(levels).toEqual([0, 1].map((index) => ['notifications/message', { index, tag: 'n' }]));
    await close();
  });

  test('it can have odd session ids, 400 for unknown ones, and answers below MCP', async () => {
    const session = await openSession(picky.url);
    expect(session.id).toHaveLength(300);
    expect(session.id).toMatch(/^_\.~-[0-9a-f]+-~\._$/);
    const call = (answer: unknown) => ({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'http_answer', arguments: { answer } },
    });
    const answer = await session.send(call({ status: 404, echoInternal: true, body: 'not here' }), { 'x-mcp-thing': 'copied' });
    expect([answer.status, answer.text, answer.headers.get('x-mcp-thing')]).toEqual([404, 'not here', 'copied']);
    expect((await session.call('get')).calls).toBe(1);
    const stranger = await session.send({ jsonrpc: '2.0', id: 1, method: 'ping' }, { 'mcp-session-id': 'stranger' });
    expect(stranger).toMatchObject({ status: 400, messages: [{ error: { code: -32000 } }] });
    expect(await session.end()).toBe(200);
  });
});
