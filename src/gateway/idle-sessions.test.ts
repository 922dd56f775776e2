// The sweep of idle sessions: whose time is over, what their servers are told, and who is left alone.

import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { backendOf, directoryOf, instanceOf } from '../../test/fakes/backends.ts';
import { binding, recordOf, sessionKey } from '../../test/fakes/sessions.ts';
import { createMemoryStore } from '../session/memory-store.ts';
import { NO_INSTANCE, type SessionRecord } from '../session/store.ts';
import { sweepIdleSessions } from './idle-sessions.ts';
import { type UpstreamRequest, UpstreamUnreachable } from './upstream.ts';

const log = pino({ level: 'silent' });
const LONG_AGO = 60_000 + 60_000;

async function sweep({ records = [recordOf()], backend = backendOf(), now = LONG_AGO, fail = false } = {}) {
  const store = createMemoryStore({ now: () => 0, initial: records });
  const called: UpstreamRequest[] = [];
  const run = () =>
    sweepIdleSessions({
      store,
      directory: directoryOf(backend),
      call: async (request) => {
        called.push(request);
        if (fail) throw new UpstreamUnreachable('refused', 'x');
        return { status: 200, headers: {}, body: Buffer.alloc(0) };
      },
      authority: () => 'localhost:8080',
      log,
      now: () => now,
    });
  await run();
  const bound = async (key = sessionKey('a')) => (await store.read(key))?.binding;
  return { store, called, run, bound };
}

test('an idle session is ended on its server, and its record stays for its return', async () => {
  const { called, bound, store, run } = await sweep();
  expect(called).toMatchObject([
    { method: 'DELETE', instance: { id: 'i1' }, authority: 'localhost:8080', headers: { 'mcp-session-id': 'up-1' } },
  ]);
  expect(await bound()).toEqual({ generation: 1, ...binding(NO_INSTANCE, 'up-1') });
  expect((await store.read(sessionKey('a')))?.end).toBeUndefined();
  await run();
  expect(called).toHaveLength(1);
});

test('one that was used is left alone, also when the report of its use is still on its way', async () => {
  for (const now of [60_000, 60_000 + 5_000]) expect((await sweep({ now })).called).toEqual([]);
});

describe('left to its server', () => {
  test.each<[string, Partial<SessionRecord>, ReturnType<typeof backendOf>]>([
    ['one that could not be opened again', { initialize: '' }, backendOf()],
    ['one of a backend that does not recover', {}, backendOf({ sessions: { recovery: 'fail', idleTimeoutMs: 1, maxAgeMs: 1 } })],
    ['one of a backend that is gone', {}, backendOf({ name: 'other' })],
    ['one that has ended', { end: 'ended' }, backendOf()],
  ])('%s', async (_, record, backend) => {
    const { called, bound } = await sweep({ records: [recordOf(record)], backend });
    expect(called).toEqual([]);
    expect((await bound())?.generation).toBe(0);
  });
});

test('a server that cannot be told is no failure', async () => {
  const { bound } = await sweep({ fail: true });
  expect((await bound())?.instance).toBe(NO_INSTANCE);
  const gone = await sweep({ backend: backendOf({ instances: [instanceOf('i9')] }) });
  expect([gone.called.length, (await gone.bound())?.instance]).toEqual([0, NO_INSTANCE]);
});

test('a sweep is bounded; the rest is for the next one', async () => {
  const records = Array.from({ length: 130 }, (_, n) => recordOf({ key: sessionKey(`k${n}`) }));
  const { called, run } = await sweep({ records });
  expect(called).toHaveLength(100);
  await run();
  expect(called).toHaveLength(130);
});
