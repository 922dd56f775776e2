// Redis in bad shape under load: killed, restarted without its data, stopped, emptied; nobody gets in who may not, and nobody waits for it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Fleet, runCommand, startFleet } from '../harness/fleet.ts';
import { openSession, post, type Session } from '../harness/mcp-http.ts';
import { outcomeOf } from '../harness/outcome.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { countOutcomes, type Sent, steadyTraffic } from '../harness/traffic.ts';
import { waitFor } from '../harness/wait-for.ts';

const WORKERS = 2;
const CALLERS = 4;
/** No test meets the end of such a window. */
const per = '3650d';
const ROOMY = 1_000_000;
/** Two gateways of two sidecars: what one of them may admit by itself of a quota of 40. */
const SMALL = 40;
const SHARES = SMALL / (2 * WORKERS);
const HEALED = { timeoutMs: 20_000 };

let fleet: Fleet;
let stateless: ServerProcess;
let counter: ServerProcess;
let pids: number[];

beforeAll(async () => {
  [stateless, counter] = await Promise.all([startServer('stateless-server'), startServer('counter-server', { COUNTER_JSON: '1' })]);
  const quotas = [{ requests: ROOMY, per }];
  fleet = await startFleet({
    workers: WORKERS,
    backends: { plain: { url: stateless.url, affinity: 'none' }, counter: { url: counter.url } },
    tenants: {
      open: { onOutage: 'allow-local', quotas },
      shut: { onOutage: 'deny', quotas },
      small: { onOutage: 'allow-local', quotas: [{ requests: SMALL, per }] },
    },
    // One gateway of each kind: what becomes of sessions while nobody can say whether they were revoked.
    env: (index) => ({ MCP_GATEWAY_ON_REVOCATION_OUTAGE: index === 0 ? 'deny' : 'allow' }),
  });
  pids = fleet.sidecarPids();
});

afterAll(async () => {
  await fleet?.stop();
  await Promise.all([stateless?.stop(), counter?.stop()]);
});

let lastId = 0;
const callOf = () => {
  lastId += 1;
  return { jsonrpc: '2.0', id: lastId, method: 'tools/call', params: { name: 'get', arguments: {} } };
};
const gatewayOf = (index: number) => (index % 2 === 0 ? fleet.a : fleet.b);
const call = async (index: number, tenant: string): Promise<string> =>
  outcomeOf(await post(gatewayOf(index).backendUrl('plain'), callOf(), fleet.caller(tenant)));

/** Every sidecar is asked through so many requests on as many connections. */
const MANY = 60;
const outcomesOf = async (tenant: string): Promise<string[]> => {
  const outcomes = await Promise.all(Array.from({ length: MANY }, (_, index) => call(index, tenant)));
  return [...new Set(outcomes)];
};
const all = (tenant: string, outcome: string) => async () => {
  const [first, ...others] = await outcomesOf(tenant);
  return first === outcome && others.length === 0;
};
const counted = async (event: string) => (await fleet.metrics()).get(`mcp_limits_events_total{event="${event}"}`) ?? 0;

/** A fault while both tenants send: what each got during it. Comes back when all is as before. */
async function during(
  fault: () => Promise<void>,
  mend: () => Promise<void>,
): Promise<Record<'open' | 'shut', readonly Sent[]> & { readonly inVain: number }> {
  await waitFor('limits to be shared', all('shut', 'ok'), HEALED);
  const open = steadyTraffic(CALLERS, (caller) => call(caller, 'open'));
  const shut = steadyTraffic(CALLERS, (caller) => call(caller, 'shut'));
  try {
    await waitFor('traffic', () => open.sent.length > 20 && shut.sent.length > 20);
    const before = await counted('failed');
    await fault();
    const from = performance.now();
    await waitFor(
      'the outage to be noticed by all',
      () =>
        shut
          .between(from)
          .slice(-8)
          .every(({ outcome }) => outcome !== 'ok') && shut.between(from).length > 100,
      HEALED,
    );
    const to = performance.now();
    const inVain = (await counted('failed')) - before;
    await mend();
    await waitFor('limits to be shared again', all('shut', 'ok'), HEALED);
    expect(countOutcomes([...open.sent, ...shut.sent].filter(({ outcome }) => outcome.startsWith('no answer')))).toEqual({});
    return { open: open.between(from, to), shut: shut.between(from, to), inVain };
  } finally {
    await Promise.all([open.stop(), shut.stop()]);
  }
}

describe.each([
  ['killed, and restarted without its data', () => fleet.redis.kill(), () => fleet.redis.restart()],
  ['stopped, and going on', async () => fleet.redis.pause(), async () => fleet.redis.resume()],
] as const)('Redis is %s', (_, fault, mend) => {
  test('open tenants go on, shut ones are refused, and nobody waits for it', { timeout: 90_000 }, async () => {
    const { open, shut, inVain } = await during(fault, mend);
    expect(Object.keys(countOutcomes(open))).toEqual(['ok']);
    // Only what was asked before the outage was noticed may have been admitted by Redis itself.
    expect(Object.keys(countOutcomes(shut)).filter((outcome) => outcome !== 'ok')).toEqual(['limits_unavailable']);
    // The circuit is open: few were asked in vain, and nobody waited for long. The bound on one is for busy machines.
    expect(inVain).toBeLessThan((open.length + shut.length) / 3);
    for (const { ms } of [...open, ...shut]) expect(ms).toBeLessThan(10_000);
    expect(fleet.sidecarPids()).toEqual(pids);
    for (const event of ['local', 'denied', 'failed']) expect(await counted(event), event).toBeGreaterThan(0);
  });
});

test('the log says once that limits are counted locally, and once that they are shared again', async () => {
  for (const gateway of fleet.gateways) {
    const said = () =>
      gateway
        .logs()
        .split('\n')
        .filter((line) => line.includes('"process":"sidecar-0"'))
        .flatMap((line) => /limits are (counted locally|shared again)/.exec(line)?.[1] ?? []);
    // Lines are written together, a moment later.
    await waitFor('the lines', () => said().length >= 4);
    for (const [at, what] of said().entries()) expect(what).toBe(at % 2 === 0 ? 'counted locally' : 'shared again');
  }
});

test('emptied: counts begin anew, and no request notices', { timeout: 60_000 }, async () => {
  const traffic = steadyTraffic(CALLERS, (caller) => call(caller, 'shut'));
  await waitFor('traffic', () => traffic.sent.length > 50);
  await fleet.redis.flush();
  const from = performance.now();
  await waitFor('more traffic', () => traffic.between(from).length > 200);
  await traffic.stop();
  // Whoever is not answered within 50 ms, as happens on a busy machine, is refused: that is another matter.
  const outcomes = Object.keys(countOutcomes(traffic.between(from)));
  expect(outcomes.filter((outcome) => outcome !== 'limits_unavailable')).toEqual(['ok']);
});

test('a quota in an outage: each sidecar admits its share, and no more', { timeout: 60_000 }, async () => {
  await waitFor('limits to be shared', all('shut', 'ok'), HEALED);
  // Every process must have heard of every sidecar: what it was told last is what it divides by.
  const processes = 2 * WORKERS + 2;
  await waitFor(
    'all to know of all',
    async () => ((await fleet.metrics()).get('mcp_limits_sidecars_alive') ?? 0) === processes * 2 * WORKERS,
    HEALED,
  );
  await fleet.redis.kill();
  try {
    await waitFor('the outage to be noticed', all('shut', 'limits_unavailable'), HEALED);
    const outcomes: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      outcomes.push(...(await Promise.all(Array.from({ length: MANY }, (_, index) => call(index, 'small')))));
    }
    const admitted = outcomes.filter((outcome) => outcome === 'ok').length;
    // Not every sidecar is asked often enough to give out its whole share.
    expect(admitted).toBeGreaterThanOrEqual(SHARES);
    expect(admitted).toBeLessThanOrEqual(SMALL);
    expect(new Set(outcomes)).toEqual(new Set(['ok', 'quota_exceeded']));
  } finally {
    await fleet.redis.restart();
  }
  await waitFor('limits to be shared again', all('shut', 'ok'), HEALED);
});

describe('sessions', () => {
  const ping = (session: Session) => session.send({ jsonrpc: '2.0', id: 1, method: 'ping' }).then(outcomeOf);
  const through = (gateway: 'a' | 'b', session: Session): Session => ({
    ...session,
    send: (message, more = {}) => post(fleet[gateway].backendUrl('counter'), message, { ...session.headers, ...more }),
  });

  test('in an outage are refused or served as the settings say, and a revoked one is served by nobody, also after Redis lost its data', {
    timeout: 90_000,
  }, async () => {
    const headers = fleet.caller('open', 'ben');
    await waitFor('limits to be shared', all('shut', 'ok'), HEALED);
    const session = await waitFor(
      'a session',
      () => openSession(fleet.a.backendUrl('counter'), { headers }).catch(() => false as const),
      HEALED,
    );
    const eve = { headers: fleet.caller('open', 'eve') };
    const revoked = await waitFor('another', () => openSession(fleet.a.backendUrl('counter'), eve), HEALED);
    await runCommand(fleet.a, 'sessions', 'end', '--issuer', fleet.issuer.issuer, '--subject', 'eve');
    const served = async () =>
      new Set(await Promise.all(Array.from({ length: MANY }, (_, n) => ping(through(n % 2 ? 'a' : 'b', revoked)))));
    await waitFor('the revocation', async () => !(await served()).has('ok'), { timeoutMs: 5_000 });

    await fleet.redis.kill();
    await waitFor('the deny', async () => (await ping(through('a', session))) === 'state_unavailable', HEALED);
    expect(await ping(through('b', session))).toBe('ok');
    expect(await served()).not.toContain('ok');
    await fleet.redis.restart();
    // Each sidecar comes back by itself: all have to, before what they say of the revoked one is the last word.
    const asked = () => Promise.all(Array.from({ length: MANY }, (_, n) => ping(through(n % 2 ? 'a' : 'b', session))));
    await waitFor('sessions to be served again', async () => (await asked()).every((outcome) => outcome === 'ok'), HEALED);
    await waitFor('the revocation to be known again', async () => [...(await served())].join() === 'session_not_found', HEALED);
    for (let round = 0; round < 3; round += 1) expect(await served()).not.toContain('ok');
  });
});

test('a gateway that starts while Redis is away starts, and heals', { timeout: 90_000 }, async () => {
  await fleet.redis.kill();
  const late = await fleet.add().finally(() => fleet.redis.restart());
  const ask = async () => outcomeOf(await post(late.backendUrl('plain'), callOf(), fleet.caller('shut')));
  await waitFor('the late gateway to share', async () => (await ask()) === 'ok', HEALED);
  const session = await openSession(late.backendUrl('counter'), { headers: fleet.caller('open') });
  expect((await session.call('whoami')).pid).toBeGreaterThan(0);
});
