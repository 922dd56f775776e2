// Listing and ending sessions: what is shown, what the store and the audit log are told, and what happens without a store.

import { expect, test } from 'vitest';
import { actorOf } from '../../test/fakes/control.ts';
import { binding, recordOf, sessionKey } from '../../test/fakes/sessions.ts';
import type { SessionKey } from '../core/ids.ts';
import { createPrincipal, localCaller } from '../identity/principal.ts';
import { createMemoryStore } from '../session/memory-store.ts';
import { NO_INSTANCE, type SessionRecord, type SessionStore } from '../session/store.ts';
import type { AuditEntry } from '../telemetry/audit-line.ts';
import { nameOf } from './actor.ts';
import { createSessionControl } from './sessions.ts';
import { StoreUnavailable } from './store-unavailable.ts';

const NOW = Date.parse('2026-08-01T12:00:00Z');
const ADMIN = actorOf('admin', { issuer: 'local', subject: 'control-token' });

function world({ records = [recordOf()], over = {} }: { records?: SessionRecord[]; over?: Partial<SessionStore> } = {}) {
  const store = createMemoryStore({ now: () => NOW, initial: records });
  const audited: AuditEntry[] = [];
  const freed: SessionKey[] = [];
  const control = createSessionControl({
    store: { ...store, ...over },
    freeing: { free: (ended) => void freed.push(...ended.map(({ key }) => key)) },
    audit: (entry) => void audited.push(entry),
  });
  return { store, audited, freed, control };
}

const gone = () => Promise.reject(new Error('no connection'));

test('a listed session shows whose it is and where, and nothing that opens it', async () => {
  const upstreamId = 'a-secret-of-the-server';
  const { control } = world({ records: [recordOf({ createdAt: NOW - 60_000, binding: { generation: 2, ...binding('i1', upstreamId) } })] });
  const { sessions, more } = await control.list({ limit: 10 }, ADMIN);
  expect(sessions).toEqual([
    {
      key: sessionKey('a'),
      backend: 'memory',
      tenant: 'default',
      issuer: 'local',
      subject: 'local',
      instance: 'i1',
      generation: 2,
      createdAt: '2026-08-01T11:59:00.000Z',
      lastUsed: '2026-08-01T12:00:00.000Z',
      expiresAt: new Date(9e12).toISOString(),
    },
  ]);
  expect(more).toBe(false);
  expect(JSON.stringify(sessions)).not.toContain(upstreamId);
});

test('a session on no instance says so', async () => {
  const { control } = world({ records: [recordOf({ binding: { generation: 1, ...binding(NO_INSTANCE, 'up-1') } })] });
  expect((await control.list({ limit: 1 }, ADMIN)).sessions).toMatchObject([{ instance: null }]);
});

test('filters, and a limit that says when it has left some out', async () => {
  const records = ['a', 'b', 'c'].map((name) => recordOf({ key: sessionKey(name), subject: name }));
  const { control } = world({ records });
  expect((await control.list({ subject: 'b', limit: 10 }, ADMIN)).sessions.map(({ key }) => key)).toEqual([sessionKey('b')]);
  expect(await control.list({ limit: 2 }, ADMIN)).toMatchObject({ sessions: [{}, {}], more: true });
  expect(await control.list({ limit: 3 }, ADMIN)).toMatchObject({ sessions: [{}, {}, {}], more: false });
});

test('the end of one session: revoked, freed, and in the audit log with who did it', async () => {
  const { control, store, freed, audited } = world();
  const key = sessionKey('a');
  await control.end(key, ADMIN);
  expect((await store.read(key))?.end).toBe('revoked');
  expect(freed).toEqual([key]);
  expect(audited).toEqual([{ event: 'admin', action: 'session.end', target: key, session: key, ...nameOf(ADMIN), outcome: 'done' }]);
});

test.each([
  ['unknown', []],
  ['ended', [recordOf({ end: 'ended' })]],
  ['revoked', [recordOf({ end: 'revoked' })]],
])('a session that is %s is none, and the attempt is in the audit log', async (_, records) => {
  const { control, freed, audited } = world({ records });
  await expect(control.end(sessionKey('a'), ADMIN)).rejects.toMatchObject({ code: 'missing' });
  expect(freed).toEqual([]);
  expect(audited).toMatchObject([{ action: 'session.end', outcome: 'refused' }]);
});

test('a session whose client has just asked for its end can be ended for good', async () => {
  const { control, store } = world();
  await store.end(sessionKey('a'), 'ending');
  await control.end(sessionKey('a'), ADMIN);
  expect((await store.read(sessionKey('a')))?.end).toBe('revoked');
});

test('the end of all sessions of a caller: under the hash that session ids are bound to, and no one else is touched', async () => {
  const mine = ['a', 'b'].map((name) => recordOf({ key: sessionKey(name) }));
  const other = recordOf({ key: sessionKey('c'), subject: 'other' });
  const { control, store, freed, audited } = world({ records: [...mine, other] });
  expect(await control.endAllOf({ issuer: 'local', subject: 'local' }, ADMIN)).toBe(2);
  expect(await store.revokedBefore(localCaller.hash.toString('base64url'))).toBe(NOW / 1000);
  expect(new Set(freed)).toEqual(new Set([sessionKey('a'), sessionKey('b')]));
  expect((await control.list({ limit: 10 }, ADMIN)).sessions.map(({ key }) => key)).toEqual([sessionKey('c')]);
  expect(audited).toEqual([{ event: 'admin', action: 'caller.revoke', target: 'local local', ...nameOf(ADMIN), outcome: 'done' }]);
});

test('the tenant and roles of a caller do not matter for that', async () => {
  const caller = { issuer: 'https://login.example.com/', subject: 'ann' };
  const principal = createPrincipal({ ...caller, tenant: localCaller.tenant, roles: ['dev'], scopes: ['mcp'] });
  const { control, store } = world();
  await control.endAllOf(caller, ADMIN);
  expect(await store.revokedBefore(principal.hash.toString('base64url'))).toBe(NOW / 1000);
});

test('the end of all sessions on a backend that is gone: however many, and no other', async () => {
  const mine = Array.from({ length: 1_001 }, (_, n) => recordOf({ key: `k${n}` as SessionKey }));
  const other = recordOf({ key: sessionKey('c'), backend: 'other' as SessionRecord['backend'] });
  const { control, store, freed } = world({ records: [...mine, other] });
  await control.endAllOn('memory');
  expect((await control.list({ limit: 10 }, ADMIN)).sessions.map(({ key }) => key)).toEqual([sessionKey('c')]);
  expect((await store.read('k7' as SessionKey))?.end).toBe('revoked');
  expect(freed).toHaveLength(1_001);
});

test('not knowing which sessions are open does not keep them from being refused', async () => {
  const { control, store } = world({ over: { list: gone } });
  expect(await control.endAllOf({ issuer: 'local', subject: 'local' }, ADMIN)).toBe(1);
  expect((await store.read(sessionKey('a')))?.end).toBe('ended');
});

test('without the store everything fails, and nothing is said to be done', async () => {
  const { control, audited, freed } = world({ over: { list: gone, read: gone, end: gone, revokeCaller: gone } });
  await expect(control.list({ limit: 1 }, ADMIN)).rejects.toThrow(StoreUnavailable);
  await expect(control.end(sessionKey('a'), ADMIN)).rejects.toThrow(StoreUnavailable);
  await expect(control.endAllOf({ issuer: 'local', subject: 'local' }, ADMIN)).rejects.toThrow(StoreUnavailable);
  expect(audited.map(({ action, outcome }) => [action, outcome])).toEqual([
    ['session.end', 'failed'],
    ['caller.revoke', 'failed'],
  ]);
  expect(freed).toEqual([]);
});

test.each([
  ['viewer', 'operators and administrators'],
  [undefined, 'operators and administrators'],
] as const)('%s ends nothing, and the attempt is in the audit log', async (rank, who) => {
  const { control, audited, freed } = world();
  const actor = actorOf(rank);
  await expect(control.end(sessionKey('a'), actor)).rejects.toThrow(`sessions are ended by ${who} only`);
  await expect(control.endAllOf({ issuer: 'local', subject: 'local' }, actor)).rejects.toMatchObject({ code: 'forbidden' });
  expect(audited.map(({ action, outcome }) => [action, outcome])).toEqual([
    ['session.end', 'refused'],
    ['caller.revoke', 'refused'],
  ]);
  expect(freed).toEqual([]);
});

test('whoever has no role is shown nothing', async () => {
  await expect(world().control.list({ limit: 1 }, actorOf(undefined))).rejects.toMatchObject({ code: 'forbidden' });
});
