// What becomes of the session id that a server puts on its answer.

import { pino } from 'pino';
import { describe, expect, test, vi } from 'vitest';
import { notedLimits } from '../../test/fakes/limits.ts';
import { testSealer } from '../../test/fakes/sessions.ts';
import type { TenantId } from '../core/ids.ts';
import { createPrincipal } from '../identity/principal.ts';
import { createMemoryStore } from '../session/memory-store.ts';
import { openSessionId } from '../session/session-id.ts';
import type { Opening } from './request.ts';
import { createSealAnswer } from './seal-answer.ts';

const opening: Opening = {
  backend: 'memory',
  instance: 'i1',
  issuer: 'https://login.example.com/',
  subject: 'ann',
  tenant: 'red',
  params: '{"protocolVersion":"2025-06-18"}',
  slot: undefined,
  stateless: false,
};
const silent = pino({ level: 'silent' });
const sealer = testSealer();

function world(limits = notedLimits()) {
  const store = createMemoryStore({ now: () => 5_000 });
  const sealAnswer = createSealAnswer({
    sealer,
    store,
    limits,
    ages: () => ({ maxAgeMs: 1_000, idleTimeoutMs: 100 }),
    log: silent,
    now: () => 5_000,
  });
  return { store, sealAnswer };
}

test('an accepted initialize: the id is sealed, and the session has its record', async () => {
  const { store, sealAnswer } = world();
  const answer = await sealAnswer(opening, 200, 'up-1');
  if (answer.kind !== 'replace') throw new Error(answer.kind);
  const grant = openSessionId(sealer, answer.sessionId);
  const caller = createPrincipal({ issuer: opening.issuer, subject: 'ann', tenant: 'red' as TenantId, roles: [], scopes: [] }).hash;
  expect(grant).toMatchObject({ backend: 'memory', instance: 'i1', upstreamId: 'up-1', tenant: 'red', issuedAt: 5, caller });
  expect([...store.records()]).toEqual([
    expect.objectContaining({
      key: grant?.key,
      backend: 'memory',
      issuer: opening.issuer,
      subject: 'ann',
      initialize: opening.params,
      createdAt: 5_000,
      expiresAt: 6_000,
      binding: { generation: 0, instance: 'i1', upstreamId: 'up-1' },
    }),
  ]);
});

test('two sessions have two keys, also with one upstream id', async () => {
  const { store, sealAnswer } = world();
  await sealAnswer(opening, 200, 'up-1');
  await sealAnswer(opening, 200, 'up-1');
  expect([...store.records()]).toHaveLength(2);
});

describe.each([
  ['no id', opening, 200, undefined, 'keep'],
  ['an id on something else than an initialize', undefined, 200, 'up-1', 'remove'],
  ['a stateless backend', { ...opening, stateless: true }, 200, 'up-1', 'remove'],
  ['an initialize that was refused', opening, 400, 'up-1', 'remove'],
  ['a redirect', opening, 307, 'up-1', 'remove'],
  ['an empty id', opening, 200, '', 'remove'],
  ['an id of 2,049 characters', opening, 200, 'x'.repeat(2_049), 'refuse'],
  ['an id with a space', opening, 200, 'up 1', 'refuse'],
  ['an id with other bytes than ASCII', opening, 200, 'up-\u00e4', 'refuse'],
  ['an id of 2,048 characters', opening, 200, '~'.repeat(2_048), 'replace'],
])('%s', (_, of, status, id, kind) => {
  test(`is ${kind}`, async () => {
    const { store, sealAnswer } = world();
    expect((await sealAnswer(of, status, id)).kind).toBe(kind);
    expect([...store.records()]).toHaveLength(kind === 'replace' ? 1 : 0);
  });
});

describe('without the store', () => {
  test.each([
    ['that refuses', () => Promise.reject(new Error('gone'))],
    ['that does not answer', () => new Promise<void>(() => {})],
  ])('%s the session begins all the same', async (_, create) => {
    vi.useFakeTimers();
    try {
      const sealAnswer = createSealAnswer({
        sealer,
        store: { ...createMemoryStore(), create },
        limits: notedLimits(),
        ages: () => ({ maxAgeMs: 1, idleTimeoutMs: 1 }),
        log: silent,
      });
      const answer = sealAnswer(opening, 200, 'up-1');
      await vi.advanceTimersByTimeAsync(2_000);
      expect((await answer).kind).toBe('replace');
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

test('is not answered before the session has its slot: the end of the request frees what it had reserved', async () => {
  let confirm = () => {};
  const confirmed = new Promise<void>((resolve) => {
    confirm = resolve;
  });
  const order: string[] = [];
  const { sealAnswer } = world({ ...notedLimits(), confirmSlot: () => confirmed });
  const answered = sealAnswer({ ...opening, slot: 'r1' }, 200, 'up-1').then(() => order.push('answered'));
  await new Promise((resolve) => setImmediate(resolve));
  order.push('confirmed');
  confirm();
  await answered;
  expect(order).toEqual(['confirmed', 'answered']);
});
