// Sessions of a fleet: what one gateway knows of a session all know, within a second, and none does twice what must happen once.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SessionList } from '../../src/control/sessions.ts';
import { type Fleet, runCommand, startFleet } from '../harness/fleet.ts';
import type { Gateway } from '../harness/gateway.ts';
import { openSession, post, type Session } from '../harness/mcp-http.ts';
import { killAndWait } from '../harness/processes.ts';
import { createScratch } from '../harness/scratch.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { countOutcomes, steadyTraffic } from '../harness/traffic.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type Relay, startRelay } from '../servers/relay.ts';

/** Every sidecar of every gateway refuses so long after the answer at the latest. */
const REFUSED_WITHIN_MS = 1_000;
/** Far more than one for each sidecar: Envoy gives a Check to the one with the fewest under way. */
const CALLERS_PER_GATEWAY = 12;
/** The life of a lock whose holder was killed. */
const LOCK_TTL_MS = 10_000;

const scratch = createScratch();
let fleet: Fleet;
let server: ServerProcess;
let relay: Relay;
let lastName = 0;

const startCounter = (port = '0') => {
  return startServer('counter-server', { COUNTER_JOURNAL: scratch.journalPath('counter'), COUNTER_JSON: '1', PORT: port });
};

beforeAll(async () => {
  server = await startCounter();
  relay = await startRelay(server.url);
  fleet = await startFleet({
    workers: 2,
    backends: { counter: { url: server.url }, relayed: { url: relay.url, sessions: { idleTimeout: '1s' } } },
    tenants: { red: {} },
  });
});

afterAll(async () => {
  await fleet?.stop();
  await relay?.stop();
  await server?.stop();
  scratch.remove();
});

/** One session as its client uses it at each of the gateways. */
interface FleetSession {
  readonly a: Session;
  readonly b: Session;
  /** How often it was opened on its server. */
  opened(): number;
}

async function open(gateway: Gateway, { backend = 'counter', subject = 'ann' } = {}): Promise<FleetSession> {
  lastName += 1;
  const clientName = `client-${lastName}`;
  const first = await openSession(gateway.backendUrl(backend), { headers: fleet.caller('red', subject), clientName });
  const at = (other: Gateway): Session => {
    const url = other.backendUrl(backend);
    let id = 0;
    const send: Session['send'] = (message, more = {}) => post(url, message, { ...first.headers, ...more });
    return {
      ...{ ...first, url, send },
      async call(name, args = {}) {
        id += 1;
        const answer = await send({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } });
        const text = (answer.messages[0]?.result as { content?: { text: string }[] } | undefined)?.content?.[0]?.text;
        if (text === undefined) throw new Error(`HTTP ${answer.status}: ${answer.text}`);
        return JSON.parse(text);
      },
      async end() {
        return (await fetch(url, { method: 'DELETE', headers: first.headers })).status;
      },
    };
  };
  const opened = () =>
    scratch.journal('counter').filter(({ method, params }) => {
      return method === 'initialize' && (params as { clientInfo: { name: string } }).clientInfo.name === clientName;
    }).length;
  return { a: at(fleet.a), b: at(fleet.b), opened };
}

const keysAt = async (gateway: Gateway, ...filter: string[]): Promise<string[]> => {
  const list = JSON.parse(await runCommand(gateway, 'sessions', 'list', '--json', ...filter)) as SessionList;
  return list.sessions.map(({ key }) => key);
};
const ping = { jsonrpc: '2.0', id: 7, method: 'ping' };
const statusOf = async (session: Session): Promise<string> => String((await session.send(ping)).status);
const forget = async (): Promise<void> => {
  const forgot = () => scratch.journal('counter').filter(({ event }) => event === 'forgot').length;
  const before = forgot();
  process.kill(server.pid, 'SIGUSR2');
  await waitFor('the server to forget', () => forgot() > before);
};

/** Requests of these sessions to all sidecars while `end` happens. @returns when the last one that was served had been sent, after its answer. */
async function lastServedAfter(sessions: readonly FleetSession[], end: () => Promise<unknown>): Promise<number> {
  const places = sessions.flatMap(({ a, b }) => [a, b]);
  const callers = places.flatMap((place) => Array.from({ length: CALLERS_PER_GATEWAY }, () => place));
  const traffic = steadyTraffic(callers.length, (caller) => statusOf(callers[caller] as Session));
  try {
    await waitFor('every caller to be served', () => traffic.sent.length > 2 * callers.length);
    const began = performance.now();
    expect(countOutcomes(traffic.between(0, began)), 'before the end').toEqual({ 200: traffic.between(0, began).length });
    await end();
    const answered = performance.now();
    await waitFor('refusals', () => traffic.between(answered + REFUSED_WITHIN_MS).length > 5 * callers.length);
    const late = traffic.between(answered + REFUSED_WITHIN_MS);
    expect(countOutcomes(late), `a second after the end: ${late.length}`).toEqual({ 404: late.length });
    expect(Object.keys(countOutcomes(traffic.sent)).toSorted()).toEqual(['200', '404']);
    return Math.max(...traffic.sent.filter(({ outcome }) => outcome === '200').map(({ sentAt }) => sentAt)) - answered;
  } finally {
    await traffic.stop();
  }
}

describe('a session that was opened at one gateway', () => {
  test('is the same one at the other, also in the list of sessions', async () => {
    const { a, b, opened } = await open(fleet.a);
    await a.call('put', { value: 'from A' });
    expect(await b.call('get')).toMatchObject({ value: 'from A', calls: 2 });
    await b.call('put', { value: 'from B' });
    expect(await a.call('get')).toMatchObject({ value: 'from B', calls: 4 });
    expect(opened()).toBe(1);
    const [atA, atB] = await Promise.all([fleet.a, fleet.b].map((gateway) => keysAt(gateway)));
    expect(atA).toHaveLength(1);
    expect(atB).toEqual(atA);
  });

  test('ends for both when its client ends it', async () => {
    const session = await open(fleet.a);
    expect(await lastServedAfter([session], () => session.a.end())).toBeLessThan(REFUSED_WITHIN_MS);
    expect(session.opened()).toBe(1);
  });
});

describe('an administrator at one gateway', () => {
  test('ends a session: every sidecar of the fleet refuses it, and no other one', async () => {
    const before = await keysAt(fleet.b);
    const [session, other] = [await open(fleet.b), await open(fleet.b, { subject: 'ben' })];
    const [key, ...rest] = (await keysAt(fleet.a, '--subject', 'ann')).filter((each) => !before.includes(each));
    expect(rest).toEqual([]);
    await lastServedAfter([session], () => runCommand(fleet.a, 'sessions', 'end', key as string));
    expect(await keysAt(fleet.b)).not.toContain(key);
    expect([await statusOf(other.a), await statusOf(other.b)]).toEqual(['200', '200']);
    await waitFor('its server to be told', () => scratch.journal('counter').some(({ event }) => event === 'ended'));
  });

  test('ends all of a caller, who may begin again', async () => {
    const sessions = [await open(fleet.a, { subject: 'cleo' }), await open(fleet.b, { subject: 'cleo' })];
    const other = await open(fleet.a, { subject: 'ben' });
    const who = ['--issuer', fleet.issuer.issuer, '--subject', 'cleo'];
    let said = '';
    await lastServedAfter(sessions, async () => {
      said = await runCommand(fleet.a, 'sessions', 'end', ...who);
    });
    expect(said).toBe(`2 open sessions of cleo (${fleet.issuer.issuer}) ended\n`);
    expect(await keysAt(fleet.b, ...who)).toEqual([]);
    expect([await statusOf(other.a), await statusOf(other.b)]).toEqual(['200', '200']);
    for (const gateway of [fleet.a, fleet.b]) {
      const again = await open(gateway, { subject: 'cleo' });
      expect([await statusOf(again.a), await statusOf(again.b)]).toEqual(['200', '200']);
    }
  });
});

describe('a server that has lost its sessions', () => {
  test('requests at both gateways at once: one new session, and no client notices', async () => {
    const session = await open(fleet.a);
    await session.a.call('put', { value: 'lost' });
    const { port } = new URL(server.url);
    await server.stop();
    server = await startCounter(port);
    const reports = await Promise.all([session.a, session.b, session.a, session.b].map((place) => place.call('get')));
    expect(reports.map(({ value }) => value)).toEqual([null, null, null, null]);
    expect(new Set(reports.map((report) => report.session)).size).toBe(1);
    expect(reports.map(({ calls }) => calls).toSorted()).toEqual([1, 2, 3, 4]);
    expect(session.opened()).toBe(2);
  });

  test('a gateway whose sidecars are killed in the middle of it holds up the other one for the life of the lock at most', async () => {
    const session = await open(fleet.a, { backend: 'relayed' });
    await forget();
    const { held, release } = relay.hold('initialize');
    const atA = session.a.call('get').catch((error: Error) => error);
    await waitFor('the recovery at A', () => held() === 1);
    const victims = fleet.a.sidecarPids();
    await Promise.all(victims.map(killAndWait));
    const killed = performance.now();
    release();
    expect(await session.b.call('get')).toMatchObject({ value: null, calls: 1 });
    const waited = performance.now() - killed;
    expect(waited).toBeGreaterThan(LOCK_TTL_MS / 2);
    expect(waited).toBeLessThan(LOCK_TTL_MS + 2_000);
    expect(String(await atA)).toContain('503');
    await waitFor('new sidecars', () => fleet.a.sidecarPids().length === victims.length);
    await waitFor('A to work again', () => session.a.call('get'), { timeoutMs: 20_000 });
    expect(session.opened()).toBe(2);
  });
});

test('idle sessions are ended once, although every gateway sweeps', { timeout: 120_000 }, async () => {
  const before = await keysAt(fleet.a, '--backend', 'relayed');
  const sessions = await Promise.all(Array.from({ length: 8 }, (_, n) => open(n % 2 === 0 ? fleet.a : fleet.b, { backend: 'relayed' })));
  const upstream = await Promise.all(sessions.map(async ({ a }) => (await a.call('put', { value: 'kept' })).session as string));
  const keys = (await keysAt(fleet.b, '--backend', 'relayed')).filter((key) => !before.includes(key));
  const deletes = () => relay.passed.filter(({ method, session }) => method === 'DELETE' && upstream.includes(session as string));
  const age = () => {
    // Again and again, because sidecars report the last uses a few seconds later. What has left the index is not put back.
    const longAgo = String(Date.now() - 600_000);
    return fleet.redis.ask('zadd', 'mcp:{s}:b:relayed', 'XX', ...keys.flatMap((key) => [longAgo, key]));
  };
  await waitFor('the sweep', () => age().then(() => deletes().length >= sessions.length), { timeoutMs: 30_000 });
  const turn = () => fleet.redis.ask('exists', 'mcp:{s}:sweeping');
  await waitFor('the end of its turn', async () => (await turn()) === 0, { timeoutMs: 30_000 });
  await waitFor('another sweep', turn, { timeoutMs: 30_000 });
  expect(deletes().map(({ session }) => session)).toHaveLength(sessions.length);
  for (const { a, b, opened } of sessions) {
    expect((await b.call('get'))['value']).toBeNull();
    expect((await a.call('get')).calls).toBe(2);
    expect(opened()).toBe(2);
  }
});
