// Envoy's second attempt, over a real unix socket: sent round with a ticket B, or answered.

import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { backendOf, directoryOf, instanceOf } from '../../test/fakes/backends.ts';
import { binding, grantOf, sessionKey, testSealer } from '../../test/fakes/sessions.ts';
import { ticketOf } from '../../test/fakes/tickets.ts';
import type { BackendName } from '../core/ids.ts';
import { createBalancer } from '../directory/balancer.ts';
import { createParking } from '../gateway/parking.ts';
import type { LostRequest, RecoverOutcome } from '../gateway/recover.ts';
import { sealSessionId } from '../session/session-id.ts';
import { openTicketB, sealTicketA, TICKET_LIFETIME_MS, type TicketA } from '../session/ticket.ts';
import { createRecoveryEndpoint } from './recovery-endpoint.ts';
import { type SidecarServer, startSidecarServer } from './sidecar-server.ts';

const sealer = testSealer();
const log = pino({ level: 'silent' });
const call = '{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"a"}}';
let folder: string;
let server: SidecarServer;
let ready: boolean;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recovery-'));
  ready = true;
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const socket = (): string => join(folder, 's');

interface Options {
  readonly outcome?: RecoverOutcome | (() => never);
  readonly instances?: readonly ReturnType<typeof instanceOf>[];
}

async function start({ outcome = { kind: 'not-found' }, instances = [instanceOf('i1'), instanceOf('i2')] }: Options = {}) {
  const asked: LostRequest[] = [];
  const directory = directoryOf(backendOf({ instances, startTimeoutMs: 5_000 }));
  const answerRetry = createRecoveryEndpoint({
    recovery: {
      alive: async () => true,
      recover: async (request) => {
        asked.push(request);
        return typeof outcome === 'function' ? outcome() : outcome;
      },
    },
    directory,
    balancer: createBalancer(),
    parking: createParking(directory),
    sealer,
    standing: async ({ backend }, { single }) => [['ratelimit', `${backend} ${single?.method}`]],
    log,
    now: () => 0,
  });
  server = await startSidecarServer({ socket: socket(), answerRetry, answerWellKnown: () => undefined, ready: () => ready, log });
  return { asked, directory };
}

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

function send({
  method = 'POST',
  path = '/mcp?x=1',
  headers = {},
  body = call,
  signal,
}: {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
} = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { socketPath: socket(), method, path, headers: { 'x-request-id': 'r1', ...headers }, agent: false, ...(signal ? { signal } : {}) },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

const session = (over: Partial<TicketA> = {}): Record<string, string> => ({
  'x-mcp-ticket': sealTicketA(sealer, { ...ticketOf().a, sessionId: sealSessionId(sealer, grantOf()), ...over }, 0),
  'mcp-session-id': 'up-1',
});
const stateless = (kind: 'stateless' | 'initialize' = 'stateless'): Record<string, string> => ({
  'x-mcp-ticket': sealTicketA(sealer, { ...ticketOf().a, kind, sessionId: undefined }, 0),
});
const bound: RecoverOutcome = { kind: 'bound', instance: instanceOf('i2'), binding: { generation: 1, ...binding('i2', 'up-2') } };

describe('a session', () => {
  test('that was found is sent round: the client’s own URL, and a ticket for this one request', async () => {
    const { asked } = await start({ outcome: bound });
    const reply = await send({ headers: session() });
    expect([reply.status, reply.headers.location, reply.body]).toEqual([307, 'http://localhost:8080/adapters/memory/mcp?x=1', '']);
    expect(openTicketB(sealer, String(reply.headers['x-mcp-rebound']), 0)).toMatchObject({
      requestId: 'r1',
      method: 'POST',
      path: '/adapters/memory/mcp?x=1',
      instance: 'i2',
      address: '127.0.0.1:2',
      upstreamId: 'up-2',
      moved: true,
      rateLimit: [['ratelimit', 'memory tools/call']],
      facts: { backend: 'memory', method: 'tools/call', tool: 'a' },
    });
    expect(asked).toMatchObject([
      { method: 'POST', tried: { instance: 'i1', upstreamId: 'up-1' }, grant: { key: sessionKey('a') }, messages: [{ name: 'a' }] },
    ]);
  });

  test('that lives is sent where it was', async () => {
    await start({ outcome: { kind: 'same', instance: instanceOf('i1'), binding: { generation: 0, ...binding('i1', 'up-1') } } });
    const reply = await send({ headers: session() });
    expect(openTicketB(sealer, String(reply.headers['x-mcp-rebound']), 0)).toMatchObject({ instance: 'i1', moved: false });
  });

  test.each<[RecoverOutcome, number, string]>([
    [{ kind: 'dropped' }, 202, ''],
    [{ kind: 'ended' }, 200, ''],
    [{ kind: 'not-found' }, 404, '{"jsonrpc":"2.0","id":9007199254740993,"error":{"code":-32001,"message":"Session not found"}}'],
  ])('%o', async (outcome, status, body) => {
    await start({ outcome });
    expect(await send({ headers: session() })).toMatchObject({ status, body });
  });

  test('that could not be opened: a call gets a result, another request 503', async () => {
    await start({ outcome: { kind: 'unavailable', code: 'recovery_failed' } });
    expect(JSON.parse((await send({ headers: session() })).body)).toMatchObject({ result: { isError: true } });
    const ping = await send({ headers: session(), body: '{"jsonrpc":"2.0","id":1,"method":"ping"}' });
    expect([ping.status, ping.headers['retry-after']]).toEqual([503, '2']);
  });

  test('whose backend is gone, or whose id is none, is not found', async () => {
    const { asked } = await start({ outcome: bound });
    expect((await send({ headers: session({ backend: 'gone' as BackendName }) })).status).toBe(404);
    expect((await send({ headers: session({ sessionId: undefined }) })).status).toBe(404);
    expect(asked).toEqual([]);
  });

  test('a body of nearly 1 MiB, a batch, and none at all are understood', async () => {
    const { asked } = await start({ outcome: bound });
    await send({ headers: session(), body: call.replace('"a"', `"a","arguments":{"x":"${'y'.repeat(1_000_000)}"}`) });
    await send({ headers: session(), body: `[${call},${call}]` });
    await send({ headers: session(), method: 'GET', body: '' });
    expect(asked.map(({ method, messages }) => [method, messages.length])).toEqual([
      ['POST', 1],
      ['POST', 2],
      ['GET', 0],
    ]);
  });
});

describe('a request without a session', () => {
  test.each(['stateless', 'initialize'] as const)('(%s) goes to another instance', async (kind) => {
    const { asked } = await start();
    for (let n = 0; n < 4; n += 1) {
      const reply = await send({ headers: stateless(kind) });
      expect(openTicketB(sealer, String(reply.headers['x-mcp-rebound']), 0)).toMatchObject({
        kind,
        instance: 'i2',
        address: '127.0.0.1:2',
      });
    }
    expect(asked).toEqual([]);
  });

  test('waits when there is none', async () => {
    const { directory } = await start({ instances: [] });
    const reply = send({ headers: stateless() });
    directory.onChange(() => {});
    directory.putInstances('memory' as BackendName, [instanceOf('i7')]);
    expect((await reply).status).toBe(307);
  });

  test('a client that goes while it waits is forgotten', async () => {
    await start({ instances: [] });
    const client = new AbortController();
    const reply = send({ headers: stateless(), signal: client.signal });
    client.abort();
    await expect(reply).rejects.toThrow('aborted');
  });
});

describe('nothing but a ticket A opens the door', () => {
  test.each<[string, () => Record<string, string>]>([
    ['junk', () => ({ 'x-mcp-ticket': 'junk' })],
    ['an empty one', () => ({ 'x-mcp-ticket': '' })],
    ['a session id', () => ({ 'x-mcp-ticket': sealSessionId(sealer, grantOf()) })],
    ['an old one', () => ({ 'x-mcp-ticket': sealTicketA(sealer, ticketOf().a, -TICKET_LIFETIME_MS - 1) })],
  ])('%s', async (_, headers) => {
    const { asked } = await start({ outcome: bound });
    const reply = await send({ headers: headers() });
    expect(reply.status).toBe(500);
    expect(reply.headers['x-mcp-rebound']).toBeUndefined();
    expect(asked).toEqual([]);
  });
});

describe('the socket', () => {
  test('says whether this process takes traffic, and a clean 404 for the rest', async () => {
    await start();
    expect(await send({ method: 'GET', path: '/readyz', body: '' })).toMatchObject({ status: 200, body: '{"status":"ready"}' });
    ready = false;
    expect((await send({ method: 'GET', path: '/readyz', body: '' })).status).toBe(503);
    const unknown = await send({ path: '/.well-known/oauth-authorization-server', method: 'GET', body: '' });
    expect([unknown.status, unknown.headers['content-type']]).toEqual([404, 'application/json']);
    expect(JSON.parse(unknown.body)).toMatchObject({ error: { code: -32000 } });
  });

  test('an error in one answer is one 500, and the next request is served', async () => {
    await start({
      outcome: () => {
        throw new Error('bug');
      },
    });
    expect((await send({ headers: session() })).status).toBe(500);
    expect((await send({ headers: stateless() })).status).toBe(307);
  });

  test('what a header cannot hold does not end the process', async () => {
    await start({ outcome: bound });
    const odd = await send({ headers: session({ authority: 'localhost:8080\r\nx: y' }) });
    expect(odd.status).toBe(500);
    expect((await send({ headers: session({ authority: 'localhost:€' }) })).status).toBe(307);
  });

  test('a body beyond all limits is refused', async () => {
    await start();
    const reply = await send({ headers: session(), body: 'x'.repeat(2 * 1024 * 1024 + 1) }).catch((error: Error) => error);
    expect(reply).toSatisfy((value) => value instanceof Error || value.status === 500);
  });
});
