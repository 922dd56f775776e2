// What is given back after sessions were ended: slots at once, servers told a few at a time, failures nobody's problem.

import { pino } from 'pino';
import { expect, test } from 'vitest';
import { notedLimits } from '../../test/fakes/limits.ts';
import { binding, recordOf, sessionKey } from '../../test/fakes/sessions.ts';
import { waitFor } from '../../test/harness/wait-for.ts';
import type { SessionKey, TenantId } from '../core/ids.ts';
import { createMemoryStore } from '../session/memory-store.ts';
import type { SessionRecord } from '../session/store.ts';
import { createFreeing } from './freeing.ts';

const log = pino({ level: 'silent' });
const tenant = 'red' as TenantId;
const keys = (count: number): SessionKey[] =>
  Array.from({ length: count }, (_, n) => Buffer.alloc(16, `${n} `).toString('base64url') as SessionKey);

function world(all: readonly SessionKey[], endUpstream?: (record: SessionRecord, signal: AbortSignal) => Promise<void>) {
  const store = createMemoryStore({ now: () => 0, initial: all.map((key) => recordOf({ key, tenant })) });
  const limits = notedLimits();
  const told: SessionRecord[] = [];
  const freeing = createFreeing({
    store,
    limits,
    endUpstream: async (record, signal) => {
      told.push(record);
      await endUpstream?.(record, signal);
    },
    log,
  });
  return { store, limits, told, freeing, free: () => freeing.free(all.map((key) => ({ key, tenant }))) };
}

test('the slot is free at once, and the server hears of the session that it has now', async () => {
  const key = sessionKey('a');
  const { store, limits, told, free } = world([key]);
  await store.rebind(key, 0, binding('i2', 'up-2'));
  await store.end(key, 'revoked');
  free();
  expect(limits.told).toEqual([`release slot red ${key}`]);
  await waitFor('the server to be told', () => told.length === 1);
  expect(told[0]?.binding).toEqual({ generation: 1, ...binding('i2', 'up-2') });
});

test('no more than 16 servers are told at once, all of them in the end, whatever one answers', async () => {
  const all = keys(100);
  let running = 0;
  let most = 0;
  const { told, free } = world(all, async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    throw new Error('no answer');
  });
  free();
  await waitFor('all servers to be told', () => told.length === all.length && running === 0);
  expect(most).toBe(16);
  expect(new Set(told.map(({ key }) => key))).toEqual(new Set(all));
});

test('closing cancels what is under way and begins nothing more', async () => {
  let cancelled = 0;
  const { told, freeing, free } = world(
    keys(40),
    (_, signal) =>
      new Promise((_resolve, reject) => {
        AbortSignal.any([signal]).addEventListener('abort', () => {
          cancelled += 1;
          reject(signal.reason as Error);
        });
      }),
  );
  free();
  await waitFor('the first to be told', () => told.length === 16);
  freeing.close();
  free();
  await waitFor('the calls to be cancelled', () => cancelled === 16);
  expect(told).toHaveLength(16);
});

test('beyond 10,000 that wait only slots are freed', async () => {
  const { limits, told, free } = world(keys(3), () => new Promise(() => {}));
  for (let n = 0; n < 5_000; n += 1) free();
  expect(limits.told).toHaveLength(15_000);
  await waitFor('the first to be told', () => told.length === 16);
});
