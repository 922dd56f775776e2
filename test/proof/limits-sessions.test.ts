// `limits.sessions` through the real gateway with two sidecars: exact, and free again with every way in which a session ends or never begins.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../harness/fleet.ts';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { type CallFailed, openSession, post, type Session } from '../harness/mcp-http.ts';
import { killAndWait } from '../harness/processes.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { tenant } from '../harness/tenant.ts';
import { useOf } from '../harness/tenant-use.ts';
import { waitFor } from '../harness/wait-for.ts';
import { CASE_HEADER, RAW_SESSION_ID, type RawAnswer, type RawUpstream, startRawUpstream } from '../servers/raw-upstream.ts';

const SLOTS = 5;
const START_TIMEOUT_MS = 60_000;
/** A moment, on a busy machine. */
const SOON_MS = 5_000;
/** Longer than a sidecar collects which sessions were used before it says so. */
const REPORTED_MS = 6_500;

/** One tenant for each test, so that they can run side by side. */
const TENANTS = ['burst', 'ended', 'failing', 'idle', 'revoked', 'cli', 'lost', 'refused'] as const;
type Tenant = (typeof TENANTS)[number];

let issuer: TestIssuer;
let upstream: RawUpstream;
let dying: RawUpstream;
let gateway: Gateway;

const as = (name: Tenant, subject = 'ann') => ({ headers: issuer.bearer(`${subject}-${name}`, { groups: [name] }) });
const open = (name: Tenant, at = 'counter') => openSession(gateway.backendUrl(at), as(name));
const slots = async (name: Tenant) => (await useOf(gateway, name)).sessions;

beforeAll(async () => {
  issuer = await startIssuer();
  upstream = await startRawUpstream();
  dying = await startRawUpstream();
  const access = { tenants: ['*'] };
  gateway = await startGateway({
    env: issuer.env,
    workers: 2,
    resources: [
      ...TENANTS.map((name) =>
        tenant(name, { match: [{ issuer: issuer.issuer, claim: 'groups', values: [name] }], limits: { sessions: SLOTS } }),
      ),
      serverBackend('counter', 'counter-server', { access }),
      serverBackend('lost', 'counter-server', { access, replicas: 1 }),
      serverBackend('short', 'counter-server', { access, sessions: { idleTimeout: '2s' } }),
      backend('raw', { url: upstream.url, access, healthCheck: { path: '/healthz' } }),
      backend('dying', { url: dying.url, access, healthCheck: { path: '/healthz' }, scaling: { startTimeout: '1s' } }),
    ],
  });
  for (const name of ['counter', 'lost', 'short', 'raw', 'dying']) {
    await waitFor(`${name} to be up`, async () => (await (await open('burst', name)).end()) === 200, { timeoutMs: START_TIMEOUT_MS });
  }
  await waitFor('all slots to be free', async () => (await slots('burst')) === 0);
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  await dying?.stop();
  await issuer?.stop();
});

/** Opens as many as asked at once. Whatever is not opened was refused for want of a slot. */
async function openMany(count: number, name: Tenant, at = 'counter'): Promise<Session[]> {
  const settled = await Promise.allSettled(Array.from({ length: count }, () => open(name, at)));
  for (const outcome of settled) {
    if (outcome.status === 'fulfilled') continue;
    expect((outcome.reason as CallFailed).answer).toMatchObject({ status: 429 });
    expect((outcome.reason as CallFailed).rpc?.error?.message).toBe('Too many sessions are open. End one, or try again later.');
  }
  return settled.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
}

/** Nothing takes a slot again afterwards: not even what was used just before its end. */
async function staysAt(count: number, name: Tenant): Promise<void> {
  const until = Date.now() + REPORTED_MS;
  const seen = new Set<number | null>();
  await waitFor('the time in which use is reported', async () => seen.add(await slots(name)) && Date.now() > until);
  expect([...seen]).toEqual([count]);
}

describe.concurrent('the slots of a tenant', () => {
  test('20 concurrent initializes for 5 slots: exactly 5, again and again', async () => {
    for (let round = 0; round < 3; round += 1) {
      const sessions = await openMany(20, 'burst');
      expect(sessions).toHaveLength(SLOTS);
      expect(await slots('burst')).toBe(SLOTS);
      for (const session of sessions) expect((await session.call('whoami')).calls).toBe(1);
      expect(await Promise.all(sessions.map((session) => session.end()))).toEqual(Array(SLOTS).fill(200));
      await waitFor('all slots to be free', async () => (await slots('burst')) === 0, { timeoutMs: SOON_MS });
    }
  });

  test('DELETE frees at once, and for good', async () => {
    const sessions = await openMany(SLOTS, 'ended');
    for (const session of sessions) {
      await session.call('whoami');
      await session.end();
      await waitFor('its slot to be free', async () => (await slots('ended')) === SLOTS - 1 - sessions.indexOf(session), {
        timeoutMs: SOON_MS,
      });
      await session.send({ jsonrpc: '2.0', id: 1, method: 'ping' });
    }
    await waitFor('the last slot to be free', async () => (await slots('ended')) === 0, { timeoutMs: SOON_MS });
    await staysAt(0, 'ended');
    expect(await openMany(SLOTS + 1, 'ended')).toHaveLength(SLOTS);
  });

  test('DELETE of a session whose server is gone frees, too', async () => {
    const session = await open('lost', 'lost');
    const pid = (await session.call('whoami')).pid;
    await killAndWait(pid);
    // Until the gateway knows that the process is gone, and decides alone.
    await waitFor('the end to be known', () =>
      gateway
        .logs()
        .split('\n')
        .some((line) => line.includes('server process ended') && line.includes('lost')),
    );
    expect(await session.end()).toBe(200);
    await waitFor('the slot to be free', async () => (await slots('lost')) === 0, { timeoutMs: SOON_MS });
    await staysAt(0, 'lost');
  });

  test('a session that its server refuses to end keeps its slot', async () => {
    upstream.on('no-delete', (res) => void res.writeHead(405).end());
    const session = await open('refused', 'raw');
    const response = await fetch(session.url, { method: 'DELETE', headers: { ...session.headers, [CASE_HEADER]: 'no-delete' } });
    expect(response.status).toBe(405);
    await session.send({ jsonrpc: '2.0', id: 1, method: 'ping' });
    await staysAt(1, 'refused');
  });

  const failures: readonly (readonly [string, RawAnswer])[] = [
    ['HTTP 500', (res) => void res.writeHead(500).end('broken')],
    ['HTTP 503 with a session id', (res) => void res.writeHead(503, { 'mcp-session-id': RAW_SESSION_ID }).end()],
    [
      'a JSON-RPC error',
      (res) =>
        void res
          .writeHead(200, { 'content-type': 'application/json' })
          .end('{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no"}}'),
    ],
    [
      'a session without an id',
      (res) => void res.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{}}'),
    ],
    ['an id that no header can carry', (res) => void res.writeHead(200, { 'mcp-session-id': 'a b' }).end('{}')],
    ['a broken connection', (res) => void res.destroy()],
  ];
  test('an initialize that fails gives its slot back at once', async () => {
    for (const [index, [, answer]] of failures.entries()) upstream.on(`failure-${index}`, answer);
    const initialize = {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
    };
    for (const [index, [name]] of failures.entries()) {
      const headers = { ...as('failing').headers, [CASE_HEADER]: `failure-${index}` };
      const statuses = await Promise.all(
        Array.from({ length: SLOTS }, async () => (await post(gateway.backendUrl('raw'), initialize, headers)).status),
      );
      expect(statuses, name).not.toContain(429);
      await waitFor(`the slots of ${name} to be free`, async () => (await slots('failing')) === 0, { timeoutMs: SOON_MS });
    }
    await dying.stop();
    const refused = await Promise.all(
      Array.from({ length: SLOTS }, async () => (await post(gateway.backendUrl('dying'), initialize, as('failing').headers)).status),
    );
    expect(refused).toEqual(Array(SLOTS).fill(503));
    await waitFor('the slots of a dead server to be free', async () => (await slots('failing')) === 0, { timeoutMs: SOON_MS });
    // The client goes while the server thinks.
    upstream.on('silent', () => {});
    const gone = new AbortController();
    const waiting = fetch(gateway.backendUrl('raw'), {
      method: 'POST',
      headers: {
        ...as('failing').headers,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        [CASE_HEADER]: 'silent',
      },
      body: JSON.stringify(initialize),
      signal: gone.signal,
    }).catch(() => 'gone');
    await waitFor('the server to be asked', () => upstream.requests.some((one) => one.case === 'silent'));
    expect(await slots('failing')).toBe(1);
    gone.abort();
    expect(await waiting).toBe('gone');
    await waitFor('the slot of who has gone to be free', async () => (await slots('failing')) === 0, { timeoutMs: SOON_MS });
  });

  test('idle sessions lose their slot, and nobody else’s', async () => {
    const idle = await openMany(SLOTS, 'idle', 'short');
    expect(idle).toHaveLength(SLOTS);
    const openedAt = Date.now();
    // A use that is reported late counts from when it was: a slot may come back for the rest of its two seconds.
    await waitFor('the idle ones to lose theirs', async () => Date.now() - openedAt > 3_500 && (await slots('idle')) === 0);
    await staysAt(0, 'idle');
    expect(await openMany(SLOTS, 'idle')).toHaveLength(SLOTS);
  });

  test('an administrator who ends all of a caller frees their slots', async () => {
    const sessions = await openMany(SLOTS, 'revoked');
    await Promise.all(sessions.map((session) => session.call('whoami')));
    const ended = await runCommand(gateway, 'sessions', 'end', '--issuer', issuer.issuer, '--subject', 'ann-revoked');
    expect(ended).toContain('5 open sessions');
    await waitFor('the slots to be free', async () => (await slots('revoked')) === 0, { timeoutMs: SOON_MS });
    for (const session of sessions) await expect(session.call('whoami')).rejects.toThrow('Session not found');
    await staysAt(0, 'revoked');
    expect(await openMany(SLOTS, 'revoked')).toHaveLength(SLOTS);
  });

  test('so does one who ends a single session', async () => {
    const [session] = await openMany(SLOTS, 'cli');
    await session?.call('whoami');
    const list = await runCommand(gateway, 'sessions', 'list', '--tenant', 'cli', '--json');
    const { sessions } = JSON.parse(list) as { sessions: { key: string }[] };
    expect(sessions).toHaveLength(SLOTS);
    await runCommand(gateway, 'sessions', 'end', sessions[0]?.key as string);
    await waitFor('the slot to be free', async () => (await slots('cli')) === SLOTS - 1, { timeoutMs: SOON_MS });
    expect(await openMany(3, 'cli')).toHaveLength(1);
  });
});
