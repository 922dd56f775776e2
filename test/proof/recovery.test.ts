// A lost session is opened again without its client noticing: one case per rule of recovery.

import { createHash, randomBytes } from 'node:crypto';
import { get } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { CallFailed, openSession, type Session, type ToolReport } from '../harness/mcp-http.ts';
import { killAndWait } from '../harness/processes.ts';
import { waitForReplicas } from '../harness/replicas.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { connectSdkClient } from '../harness/sdk-client.ts';
import { waitFor } from '../harness/wait-for.ts';
import { toolBin } from '../setup/tools.ts';

const scratch = createScratch();
const EVERYTHING = toolBin('@modelcontextprotocol/server-everything');
let gateway: Gateway;

const counter = (name: string, replicas: number, { env = {}, ...spec }: { env?: Record<string, string>; [key: string]: unknown } = {}) =>
  serverBackend(name, 'counter-server', { replicas, env: { COUNTER_JOURNAL: scratch.journalPath(name), ...env }, ...spec });

beforeAll(async () => {
  gateway = await startGateway({
    workers: 2,
    resources: [
      counter('pair', 2),
      counter('solo', 1),
      counter('picky', 2, { env: { COUNTER_UNKNOWN_SESSION: '400' } }),
      counter('failing', 2, { env: { COUNTER_JSON: '1' }, sessions: { recovery: 'fail' } }),
      counter('trusting', 2, { env: { COUNTER_JSON: '1' }, trustToolHints: true }),
      backend('everything', {
        image: `exec:${process.execPath}`,
        args: [EVERYTHING, 'streamableHttp'],
        replicas: 2,
        healthCheck: { type: 'mcp' },
      }),
    ],
  });
});

afterAll(async () => {
  await gateway?.stop();
  scratch.remove();
});

/** How often Envoy has tried again, over all backends. */
async function retries(): Promise<number> {
  const path = '/stats?filter=pods-then-recovery.upstream_rq_retry$';
  const stats = await new Promise<string>((resolve, reject) => {
    get({ socketPath: join(gateway.home, 'run', 'envoy.sock'), path, agent: false }, (answer) => resolve(text(answer))).on('error', reject);
  });
  return Number(/: (\d+)$/.exec(stats.trim())?.[1]);
}

let lastName = 0;

/** A session with a name of its own, so that the journal tells how often it was opened. */
async function open(backendName: string): Promise<Session & { readonly name: string; opened(): number }> {
  lastName += 1;
  const name = `client-${lastName}`;
  const session = await openSession(gateway.backendUrl(backendName), { clientName: name });
  const opened = () =>
    scratch.journal(backendName).filter(({ method, params }) => {
      return method === 'initialize' && (params as { clientInfo: { name: string } }).clientInfo.name === name;
    }).length;
  return Object.assign(session, { name, opened });
}

/** Makes the running server forget all its sessions, and waits until it has. */
async function forget(backendName: string, pid: number): Promise<void> {
  const before = scratch.journal(backendName).filter(({ event }) => event === 'forgot').length;
  process.kill(pid, 'SIGUSR2');
  await waitFor('the server to forget', () => scratch.journal(backendName).filter(({ event }) => event === 'forgot').length > before);
}

const failed = async (call: Promise<unknown>): Promise<CallFailed> => {
  const error = await call.then(
    (value) => new Error(`it did not fail: ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof CallFailed)) throw error;
  return error;
};

describe('a killed process', () => {
  test('costs the client nothing but the state: same id, another process, its own initialize parameters, level and subscriptions', async () => {
    await waitForReplicas(gateway.backendUrl('pair'), 2);
    const session = await open('pair');
    const uri = 'counter://value';
    for (const [id, method, params] of [
      [1, 'logging/setLevel', { level: 'warning' }],
      [2, 'resources/subscribe', { uri }],
      [3, 'resources/subscribe', { uri: 'counter://other' }],
      [4, 'resources/unsubscribe', { uri: 'counter://other' }],
    ] as const) {
      expect((await session.send({ jsonrpc: '2.0', id, method, params })).status).toBe(200);
    }
    const before = await session.call('put', { value: 'lost' });
    await killAndWait(before.pid);

    const after = await session.call('whoami', { tag: 'after' });
    expect(after.pid).not.toBe(before.pid);
    expect(after).toMatchObject({ calls: 1, level: 'warning', subscriptions: [uri] });
    expect((await session.call('get'))['value']).toBeNull();
    const answer = await session.send({ jsonrpc: '2.0', id: 5, method: 'ping' });
    expect([null, session.id]).toContain(answer.headers.get('mcp-session-id'));

    expect(session.opened()).toBe(2);
    const again = scratch.journal('pair').filter(({ session: id }) => id === after.session);
    expect(again.map(({ method }) => method).filter((method) => method !== undefined)).toEqual([
      'initialize',
      'notifications/initialized',
      'logging/setLevel',
      'resources/subscribe',
      'tools/call',
      'tools/call',
      'ping',
    ]);
    expect(again.find(({ method }) => method === 'initialize')?.params).toMatchObject({
      protocolVersion: '2025-11-25',
      capabilities: { roots: {} },
      clientInfo: { name: session.name, version: '1.0.0' },
    });
  });

  test('costs concurrent requests of one session one new session', async () => {
    await waitForReplicas(gateway.backendUrl('pair'), 2);
    const session = await open('pair');
    await killAndWait((await session.call('whoami')).pid);
    const reports = await Promise.all(
      Array.from({ length: 32 }, (_, index) => session.call('echo', { payload: 'x', tag: `burst ${index}` })),
    );
    expect(new Set(reports.map(({ session: id }) => id)).size).toBe(1);
    expect(reports.map(({ calls }) => calls).sort((a, b) => a - b)).toEqual(Array.from({ length: 32 }, (_, index) => index + 1));
    expect(session.opened()).toBe(2);
  });

  test('of a single replica: the request waits for the next process', async () => {
    await waitForReplicas(gateway.backendUrl('solo'), 1);
    const session = await open('solo');
    const { pid } = await session.call('whoami');
    await killAndWait(pid);
    expect((await session.call('whoami')).pid).not.toBe(pid);
    expect(session.opened()).toBe(2);
  });

  test('that answers 400 to unknown sessions: a changed process is enough', async () => {
    await waitForReplicas(gateway.backendUrl('picky'), 2);
    const session = await open('picky');
    const { pid } = await session.call('put', { value: 'lost' });
    await killAndWait(pid);
    expect(await session.call('get')).toMatchObject({ value: null, calls: 1 });
    expect(session.opened()).toBe(2);
  });

  test('of server-everything, with an unmodified SDK client', async () => {
    const { client, transport, close } = await connectSdkClient(gateway.backendUrl('everything'));
    const echo = async () => (await client.callTool({ name: 'echo', arguments: { message: 'hello' } })).content;
    const expected = [{ type: 'text', text: 'Echo: hello' }];
    expect(await echo()).toEqual(expected);
    const id = transport.sessionId;
    const servers = gateway.pids().filter(({ command }) => command.includes(EVERYTHING));
    await Promise.all(servers.map(({ pid }) => killAndWait(pid)));
    expect(await echo()).toEqual(expected);
    expect(transport.sessionId).toBe(id);
    await close();
  });

  test('brings back the GET stream of an SDK client', async () => {
    await waitForReplicas(gateway.backendUrl('pair'), 2);
    const { client, call, close } = await connectSdkClient(gateway.backendUrl('pair'));
    const seen: string[] = [];
    client.fallbackNotificationHandler = async ({ params }) => void seen.push((params as { data: { tag: string } }).data.tag);
    const notified = (tag: string) =>
      waitFor(
        `notification ${tag}`,
        async () => {
          await call('notify', { tag });
          return seen.includes(tag);
        },
        { timeoutMs: 30_000 },
      );
    await notified('before');
    await killAndWait((await call('whoami')).pid);
    await notified('after');
    await close();
  });

  test('with recovery: fail is a lost session, said so', async () => {
    await waitForReplicas(gateway.backendUrl('failing'), 2);
    const session = await open('failing');
    await killAndWait((await session.call('whoami')).pid);
    const { answer } = await failed(session.call('whoami'));
    expect(answer).toMatchObject({
      status: 404,
      messages: [{ jsonrpc: '2.0', id: 2, error: { code: -32001, message: 'Session not found' } }],
    });
    expect(session.opened()).toBe(1);
  });
});

describe('a process that lives on but lost its sessions', () => {
  test('with recovery: fail: what recovery says is not asked for twice, and how Envoy is told so is not for clients', async () => {
    const session = await open('failing');
    await forget('failing', (await session.call('whoami')).pid);
    const before = await retries();
    const { answer } = await failed(session.call('whoami'));
    expect(answer.status).toBe(404);
    expect((await retries()) - before).toBe(1);
    expect([...answer.headers.keys()].filter((name) => name.startsWith('x-'))).toEqual([]);
  });

  test('recovers on the same port; every session once', async () => {
    await waitForReplicas(gateway.backendUrl('solo'), 1);
    const sessions = await Promise.all(Array.from({ length: 10 }, () => open('solo')));
    const [{ pid }] = (await Promise.all(sessions.map((session) => session.call('put', { value: 'lost' })))) as [ToolReport];
    await forget('solo', pid);
    const reports = await Promise.all(sessions.flatMap((session) => [1, 2, 3].map(() => session.call('get'))));
    expect(new Set(reports.map(({ value }) => value))).toEqual(new Set([null]));
    expect(new Set(reports.map(({ pid: now }) => now))).toEqual(new Set([pid]));
    expect(sessions.map((session) => session.opened())).toEqual(sessions.map(() => 2));
  });

  test('replays a body of 900 KB byte for byte', async () => {
    const session = await open('solo');
    await forget('solo', (await session.call('whoami')).pid);
    const payload = randomBytes(450_000).toString('hex');
    expect(await session.call('echo', { payload })).toMatchObject({
      length: 900_000,
      sha256: createHash('sha256').update(payload).digest('hex'),
      calls: 1,
    });
  });

  test('recovers before a body that is too large to be replayed is sent', async () => {
    const session = await open('solo');
    await forget('solo', (await session.call('whoami')).pid);
    expect(await session.call('echo', { payload: 'x'.repeat(1_600_000) })).toMatchObject({ length: 1_600_000, calls: 1 });
    expect(session.opened()).toBe(2);
  });

  test('that loses a session at the moment of a body too large to be replayed: a clear answer; the next request goes on', async () => {
    const session = await open('solo');
    const { pid } = await session.call('whoami');
    const lost = {
      status: 404,
      headers: { 'content-type': 'application/json' },
      body: '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}',
    };
    const args = { tag: 'too large', answer: lost, filler: 'x'.repeat(1_600_000) };
    const { answer } = await failed(session.call('http_answer', args));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.messages, answer.text).toMatchObject([
      { jsonrpc: '2.0', error: { code: expect.any(Number), message: expect.any(String) } },
    ]);
    expect(scratch.journal('solo').filter(({ tag }) => tag === 'too large')).toHaveLength(1);
    await forget('solo', pid);
    expect((await session.call('whoami')).calls).toBe(1);
  });

  test('drops what belonged to the lost session: answers, initialized and cancelled get 202', async () => {
    const session = await open('solo');
    const { session: upstream, pid } = await session.call('whoami');
    await forget('solo', pid);
    for (const message of [
      { jsonrpc: '2.0', id: 77, result: { roots: [] } },
      { jsonrpc: '2.0', id: 78, error: { code: -1, message: 'no' } },
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
    ]) {
      expect((await session.send(message)).status, JSON.stringify(message)).toBe(202);
    }
    const { session: now } = await session.call('whoami');
    expect(now).not.toBe(upstream);
    const methods = scratch.journal('solo').filter(({ session: id }) => id === now);
    expect(methods.filter(({ method }) => method === 'notifications/cancelled')).toEqual([]);
    expect(methods.filter(({ method }) => method === 'notifications/initialized')).toHaveLength(1);
  });

  test('opens the GET stream again without the Last-Event-ID of the lost one', async () => {
    const session = await open('solo');
    await forget('solo', (await session.call('whoami')).pid);
    const abort = new AbortController();
    const stream = await session.stream(abort.signal, { 'last-event-id': 'of-the-lost-session' });
    expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    const { session: now } = await session.call('notify', { tag: 'on the new stream' });
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    expect(Buffer.from((await reader.read()).value ?? []).toString()).toContain('on the new stream');
    abort.abort();
    expect(scratch.journal('solo').filter(({ event, session: id }) => event === 'stream' && id === now)).toHaveLength(1);
    expect(session.opened()).toBe(2);
  });
});

describe('what must not be recovered', () => {
  test('a session that its client ended stays dead, also when it could be opened again', async () => {
    await waitForReplicas(gateway.backendUrl('pair'), 2);
    const session = await open('pair');
    const { pid } = await session.call('whoami');
    expect(await session.end()).toBe(200);
    await killAndWait(pid);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      expect((await failed(session.call('whoami'))).answer.status).toBe(404);
    }
    expect(session.opened()).toBe(1);
  });

  test('DELETE of a lost session answers 200 and opens nothing', async () => {
    await waitForReplicas(gateway.backendUrl('pair'), 2);
    const [killed, forgotten] = [await open('pair'), await open('solo')];
    await killAndWait((await killed.call('whoami')).pid);
    await forget('solo', (await forgotten.call('whoami')).pid);
    for (const session of [killed, forgotten]) {
      expect(await session.end()).toBe(200);
      expect((await failed(session.call('whoami'))).answer.status).toBe(404);
      expect(session.opened()).toBe(1);
    }
  });

  test('a live session whose server answers 404 about something else: the client gets that answer, the session its state', async () => {
    const session = await open('solo');
    await session.call('put', { value: 'kept' });
    const answer = await session.send({
      jsonrpc: '2.0',
      id: 9,
      method: 'tools/call',
      params: {
        name: 'http_answer',
        arguments: { tag: 'other 404', answer: { status: 404, headers: { 'content-type': 'text/plain' }, body: 'no such thing' } },
      },
    });
    expect([answer.status, answer.text, answer.headers.get('content-type')]).toEqual([404, 'no such thing', 'text/plain']);
    expect((await session.call('get'))['value']).toBe('kept');
    expect(session.opened()).toBe(1);
    // It is asked once more, because the first answer could have meant a lost session; never a third time.
    expect(scratch.journal('solo').filter(({ tag }) => tag === 'other 404').length).toBeLessThanOrEqual(2);
  });

  test.each([
    ['a redirect to itself', (url: string) => ({ location: url })],
    ['a redirect elsewhere on the gateway', (url: string) => ({ location: url.replace('/mcp', '/other') })],
    ['a relative redirect', () => ({ location: '/mcp' })],
  ])('%s goes to the client untouched', async (name, headersFor) => {
    const session = await open('solo');
    const headers: Record<string, string> = headersFor(gateway.backendUrl('solo'));
    const answer = await session.send({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: {
        name: 'http_answer',
        arguments: {
          tag: name,
          answer: { status: 307, headers: { ...headers, 'content-type': 'text/plain' }, body: 'over there', echoInternal: true },
        },
      },
    });
    expect([answer.status, answer.headers.get('location'), answer.text]).toEqual([307, headers['location'], 'over there']);
    expect([...answer.headers.keys()].filter((header) => header.startsWith('x-mcp-'))).toEqual([]);
    expect(scratch.journal('solo').filter(({ tag }) => tag === name)).toHaveLength(1);
    expect(session.opened()).toBe(1);
  });

  test('a redirect with forged internal headers gains nothing', async () => {
    const session = await open('solo');
    await session.call('put', { value: 'kept' });
    const names = ['x-mcp-rebound', 'x-mcp-ticket', 'x-mcp-ticket-a', 'x-mcp-ticket-b', 'x-mcp-upstream', 'x-mcp-subject'];
    const forged = Object.fromEntries(names.map((name) => [name, 'forged']));
    const received = (name: string) => scratch.journal(name).filter(({ event }) => event === 'message').length;
    const before = { solo: received('solo'), pair: received('pair') };
    for (const location of [gateway.backendUrl('solo'), gateway.backendUrl('pair')]) {
      const args = { tag: `forged ${location}`, answer: { status: 307, headers: { ...forged, location }, echoInternal: true } };
      const { answer } = await failed(session.call('http_answer', args));
      expect(answer.status).toBeGreaterThanOrEqual(300);
      expect([...answer.headers.keys()].filter((header) => header.startsWith('x-mcp-'))).toEqual([]);
    }
    expect(received('pair')).toBe(before.pair);
    expect(received('solo')).toBe(before.solo + 2);
    expect((await session.call('get'))['value']).toBe('kept');
    expect(session.opened()).toBe(1);
  });
});

describe('a request that was under way when its process died', () => {
  /** Starts a call, kills its process when the journal has the call, and gives the outcome. */
  async function interrupt(
    backendName: string,
    tool: string,
  ): Promise<{ session: Session; tag: string; outcome: unknown; tookMs: number }> {
    await waitForReplicas(gateway.backendUrl(backendName), 2);
    const session = await open(backendName);
    const { pid } = await session.call('whoami');
    const tag = `interrupted ${tool} ${session.id.slice(-12)}`;
    const outcome = session.call(tool, { ms: 3_000, tag }).catch((error: unknown) => error);
    await waitFor('the call to arrive', () => scratch.journal(backendName).some((entry) => entry.tag === tag));
    const killedAt = Date.now();
    const gone = killAndWait(pid);
    const ended = await outcome;
    const tookMs = Date.now() - killedAt;
    await gone;
    return { session, tag, outcome: ended, tookMs };
  }
  const times = (backendName: string, tag: string) => scratch.journal(backendName).filter((entry) => entry.tag === tag).length;

  test.each([
    ['failing', 'slow_read'],
    ['trusting', 'slow'],
  ])('of %s, %s: it is not sent twice, and the error has its id and says that the outcome is unknown', async (backendName, tool) => {
    const { tag, outcome } = await interrupt(backendName, tool);
    expect(outcome).toBeInstanceOf(CallFailed);
    const { answer } = outcome as CallFailed;
    const error = { code: expect.any(Number), message: expect.stringMatching(/unknown|may have|might have/i) };
    expect(answer.messages[0], answer.text).toMatchObject({ jsonrpc: '2.0', id: 2, error });
    expect(times(backendName, tag)).toBe(1);
  });

  test('a tool that says readOnlyHint, of a backend whose hints are trusted, is sent again', async () => {
    const { tag, outcome } = await interrupt('trusting', 'slow_read');
    expect(outcome).toMatchObject({ slept: 3_000, calls: 1 });
    expect(times('trusting', tag)).toBe(2);
  });

  test('an answer that had begun is cut at once; the session goes on', async () => {
    const { session, tag, outcome, tookMs } = await interrupt('pair', 'slow');
    expect(outcome).toBeInstanceOf(Error);
    // A client that is told nothing waits for its own time-out of 60 s.
    expect(tookMs).toBeLessThan(5_000);
    expect(times('pair', tag)).toBe(1);
    expect((await session.call('whoami')).calls).toBe(1);
  });

  test.each(['ping', 'tools/list'])('%s is sent again even when nobody knows how far it got', async (method) => {
    await waitForReplicas(gateway.backendUrl('pair'), 2);
    const session = await open('pair');
    const { pid } = await session.call('whoami');
    // A stopped process still takes connections and bytes: the request is written and never read.
    process.kill(pid, 'SIGSTOP');
    const answer = session.send({ jsonrpc: '2.0', id: 'again', method });
    const killer = setTimeout(() => process.kill(pid, 'SIGKILL'), 300);
    expect(await answer).toMatchObject({ status: 200, messages: [{ id: 'again', result: {} }] });
    clearTimeout(killer);
  });
});
