// What a client sees of a session: one constant opaque id, bound to its backend, that nobody can make or change.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, MAIN, startGateway } from '../harness/gateway.ts';
import { openSession, post, type Session } from '../harness/mcp-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { waitFor } from '../harness/wait-for.ts';

const scratch = createScratch();
let gateway: Gateway;
let session: Session;

/** The answer of design.md for every id that does not open a session of this caller and backend. */
const notFound = (id: unknown): string => JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32001, message: 'Session not found' } });

beforeAll(async () => {
  gateway = await startGateway({
    resources: [
      serverBackend('one', 'counter-server', { env: { COUNTER_JOURNAL: scratch.journalPath('one') } }),
      serverBackend('two', 'counter-server'),
      serverBackend('odd', 'counter-server', { env: { COUNTER_SESSION_IDS: 'odd' } }),
      serverBackend('brief', 'counter-server', { sessions: { maxAge: '3s' } }),
    ],
  });
  session = await openSession(gateway.backendUrl('one'));
  await session.call('put', { value: 'kept' });
});

afterAll(async () => {
  await gateway?.stop();
  scratch.remove();
});

describe('session id', () => {
  test('is opaque: neither the upstream id nor the address or process is in it, or anywhere else in the answer', async () => {
    const report = await session.call('whoami');
    const answer = await session.send({ jsonrpc: '2.0', id: 1, method: 'ping' });
    const decoded = session.id
      .split(/[.~_-]/)
      .map((part) => Buffer.from(part, 'base64url').toString('latin1'))
      .join();
    // As it would be written: a number alone may be part of a date, or of chance.
    for (const secret of [report.session as string, `"pid":${report.pid}`, '127.0.0.1']) {
      expect(session.id).not.toContain(secret);
      expect(decoded).not.toContain(secret);
      expect(JSON.stringify([...answer.headers])).not.toContain(secret);
    }
    expect(session.id).toMatch(/^[\x21-\x7e]{20,}$/);
  });

  test('is the same on every answer, and the server sees its own', async () => {
    for (const method of ['ping', 'tools/list', 'resources/list']) {
      const answer = await session.send({ jsonrpc: '2.0', id: method, method });
      expect(answer.status).toBe(200);
      expect([null, session.id]).toContain(answer.headers.get('mcp-session-id'));
    }
    const report = await session.call('whoami');
    expect((report['headers'] as Record<string, string>)['mcp-session-id']).toBe(report.session);
  });

  test('is another one for every session', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, async () => (await openSession(gateway.backendUrl('one'))).id));
    expect(new Set(ids).size).toBe(20);
  });

  test('carries upstream ids of every legal kind', async () => {
    const odd = await openSession(gateway.backendUrl('odd'));
    await odd.call('put', { value: 'odd' });
    const report = await odd.call('get');
    expect(report).toMatchObject({ value: 'odd', calls: 2 });
    expect(report.session).toMatch(/^_\.~-.*-~\._$/);
    expect(report.session).toHaveLength(300);
    expect(await odd.end()).toBe(200);
  });
});

describe('an id that is not right', () => {
  const flip = (text: string, index: number): string => {
    const replacement = text[index] === 'A' ? 'B' : 'A';
    return text.slice(0, index) + replacement + text.slice(index + 1);
  };
  const wrong: [string, (id: string) => string][] = [
    ...[0, 0.1, 0.25, 0.5, 0.75, 0.9, 1].map((part): [string, (id: string) => string] => [
      `changed at ${part * 100} %`,
      (id) => flip(id, Math.floor(part * (id.length - 1))),
    ]),
    ['cut by one', (id) => id.slice(0, -1)],
    ['cut in half', (id) => id.slice(0, id.length / 2)],
    ['one longer', (id) => `${id}A`],
    ['twice', (id) => id + id],
    ['in capitals', (id) => id.toUpperCase()],
    ['garbage', () => 'garbage'],
    ['a UUID', () => '4e2f9c64-5a0f-4f6e-9f3a-1f6a3c1d7b10'],
    ['very long', () => 'A'.repeat(8_000)],
  ];

  test.each(wrong)('%s → 404 exactly as the specification wants it', async (_name, change) => {
    for (const id of [7, 'seven', 9_007_199_254_740_991]) {
      const answer = await post(
        gateway.backendUrl('one'),
        { jsonrpc: '2.0', id, method: 'ping' },
        { 'mcp-session-id': change(session.id) },
      );
      expect([answer.status, answer.text.trim()]).toEqual([404, notFound(id)]);
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    }
  });

  test('of another backend → 404', async () => {
    const answer = await post(gateway.backendUrl('two'), { jsonrpc: '2.0', id: 1, method: 'ping' }, { 'mcp-session-id': session.id });
    expect([answer.status, answer.text.trim()]).toEqual([404, notFound(1)]);
  });

  test('the upstream id itself → 404', async () => {
    const { session: upstream } = await session.call('whoami');
    const headers = { 'mcp-session-id': upstream as string };
    const answer = await post(gateway.backendUrl('one'), { jsonrpc: '2.0', id: 1, method: 'ping' }, headers);
    expect([answer.status, answer.text.trim()]).toEqual([404, notFound(1)]);
  });

  test('on notifications, GET and DELETE → 404 with a null id', async () => {
    const headers = { 'mcp-session-id': `${session.id}A` };
    const notification = await post(gateway.backendUrl('one'), { jsonrpc: '2.0', method: 'notifications/initialized' }, headers);
    expect([notification.status, notification.text.trim()]).toEqual([404, notFound(null)]);
    for (const method of ['GET', 'DELETE']) {
      const answer = await fetch(gateway.backendUrl('one'), { method, headers: { ...headers, accept: 'text/event-stream' } });
      expect([method, answer.status, (await answer.text()).trim()]).toEqual([method, 404, notFound(null)]);
    }
  });

  test('expired → 404', async () => {
    const brief = await openSession(gateway.backendUrl('brief'));
    const answer = await waitFor('the session to expire', async () => {
      const ping = await brief.send({ jsonrpc: '2.0', id: 'late', method: 'ping' });
      return ping.status === 200 ? undefined : ping;
    });
    expect([answer.status, answer.text.trim()]).toEqual([404, notFound('late')]);
  });

  test('none of them reached the server', () => {
    const pings = scratch.journal('one').filter(({ method, id }) => method === 'ping' && (id === 7 || id === 'seven'));
    expect(pings).toEqual([]);
  });
});

describe('the end of a session', () => {
  test('initialize that carries a session id is refused with 400', async () => {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } };
    const answer = await session.send({ jsonrpc: '2.0', id: 'again', method: 'initialize', params });
    expect(answer).toMatchObject({ status: 400, messages: [{ jsonrpc: '2.0', id: 'again', error: { code: expect.any(Number) } }] });
  });

  test('after DELETE it is not found, by POST, GET and DELETE', async () => {
    const ended = await openSession(gateway.backendUrl('one'));
    expect(await ended.end()).toBe(200);
    const answer = await ended.send({ jsonrpc: '2.0', id: 1, method: 'ping' });
    expect([answer.status, answer.text.trim()]).toEqual([404, notFound(1)]);
    // A second DELETE asks for what is already so.
    expect([200, 404]).toContain(await ended.end());
    expect((await ended.stream(AbortSignal.timeout(5_000))).status).toBe(404);
  });
});

describe('keys', () => {
  const withHome = async (check: (home: string) => Promise<void>): Promise<void> => {
    const home = mkdtempSync(join(tmpdir(), 'gw-'));
    try {
      await check(home);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  };
  const resources = [serverBackend('kept', 'counter-server')];
  const rotate = async (home: string): Promise<void> => {
    await promisify(execFile)(process.execPath, [MAIN, 'keys', 'rotate', '--home', home], { timeout: 30_000 });
  };

  test('ids outlive a restart of the gateway: the session goes on, under the same id', { timeout: 120_000 }, () =>
    withHome(async (home) => {
      const first = await startGateway({ home, resources });
      const opened = await openSession(first.backendUrl('kept'));
      const ended = await openSession(first.backendUrl('kept'));
      await ended.end();
      await first.stop();

      const second = await startGateway({ home, resources });
      try {
        const headers = { 'mcp-session-id': opened.id };
        const answer = await post(second.backendUrl('kept'), { jsonrpc: '2.0', id: 1, method: 'ping' }, headers);
        expect([answer.status, answer.headers.get('mcp-session-id')], answer.text).toEqual([200, opened.id]);
        // Tombstones outlive it too.
        const dead = await post(second.backendUrl('kept'), { jsonrpc: '2.0', id: 1, method: 'ping' }, { 'mcp-session-id': ended.id });
        expect([dead.status, dead.text.trim()]).toEqual([404, notFound(1)]);
      } finally {
        await second.stop();
      }
    }),
  );

  test('after a rotation ids of the previous key still open, and new ids have the new key', { timeout: 120_000 }, () =>
    withHome(async (home) => {
      const running = await startGateway({ home, resources });
      try {
        const old = await openSession(running.backendUrl('kept'));
        await old.call('put', { value: 'before' });
        await rotate(home);
        // The key id stands in front of the id; sealing follows once every process can open.
        const keyOf = (id: string): string => id.slice(0, 8);
        const fresh = await waitFor(
          'new ids under the new key',
          async () => {
            const next = await openSession(running.backendUrl('kept'));
            return keyOf(next.id) === keyOf(old.id) ? undefined : next;
          },
          { timeoutMs: 60_000 },
        );
        expect(await old.call('get')).toMatchObject({ value: 'before', calls: 2 });
        expect((await fresh.call('get')).calls).toBe(1);
      } finally {
        await running.stop();
      }
    }),
  );
});
