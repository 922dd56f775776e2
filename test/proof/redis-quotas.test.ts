// Limits of a fleet: ten sidecars of two gateways count as one, exactly, at one round trip to Redis for each request that is admitted.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Fleet, startFleet } from '../harness/fleet.ts';
import { runLoad } from '../harness/load.ts';
import { openSession, post, type Session } from '../harness/mcp-http.ts';
import { outcomeOf } from '../harness/outcome.ts';
import { killAndWait } from '../harness/processes.ts';
import { monitorRedis, type RedisCommand } from '../harness/redis-monitor.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { countOutcomes, steadyTraffic, type Traffic } from '../harness/traffic.ts';
import { waitFor } from '../harness/wait-for.ts';

const WORKERS = 5;
const IN_FLIGHT = 40;
/** No test meets the end of such a window. */
const per = '3650d';
/** Nobody is admitted without Redis: a busy machine that takes longer than 50 ms must not look like a wrong count. */
const onOutage = 'deny';
const OF_TENANT = { requests: 200, per };
const ROOMY = { requests: 1_000_000, per };
const CHANGED_WITHIN_MS = 1_000;

let fleet: Fleet;
let stateless: ServerProcess;
let counter: ServerProcess;

beforeAll(async () => {
  [stateless, counter] = await Promise.all([startServer('stateless-server'), startServer('counter-server', { COUNTER_JSON: '1' })]);
  fleet = await startFleet({
    workers: WORKERS,
    backends: { plain: { url: stateless.url, affinity: 'none' }, counter: { url: counter.url } },
    tenants: {
      exact: { onOutage, quotas: [{ requests: 300, per }] },
      batches: { onOutage, quotas: [OF_TENANT] },
      both: { onOutage, quotas: [OF_TENANT, { requests: 60, per, scope: 'subject', tool: 'g*' }] },
      sessions: { onOutage, limits: { sessions: 12 } },
      busy: { onOutage, limits: { concurrentRequests: 6 } },
      changing: { onOutage, quotas: [{ requests: 0, per }] },
      cheap: { onOutage, quotas: [ROOMY, { ...ROOMY, scope: 'subject' }] },
      leased: { onOutage, quotas: [ROOMY], limits: { concurrentRequests: 1_000 } },
      retried: { onOutage, quotas: [ROOMY] },
      recovered: { onOutage, quotas: [ROOMY], limits: { concurrentRequests: 1_000 } },
    },
  });
});

afterAll(async () => {
  await fleet?.stop();
  await Promise.all([stateless?.stop(), counter?.stop()]);
});

test('ten sidecars take part', () => {
  expect(fleet.sidecarPids()).toHaveLength(2 * WORKERS);
});

let lastId = 0;
const callOf = (name = 'get', args: Readonly<Record<string, unknown>> = {}) => {
  lastId += 1;
  return { jsonrpc: '2.0', id: lastId, method: 'tools/call', params: { name, arguments: args } };
};
const gatewayOf = (index: number) => (index % 2 === 0 ? fleet.a : fleet.b);
const send = (index: number, caller: Readonly<Record<string, string>>, message: unknown = callOf()) =>
  post(gatewayOf(index).backendUrl('plain'), message, caller).then(outcomeOf);

/** Sends so many requests to both gateways in turn. @returns how often each outcome came. */
async function hammer(count: number, request: (index: number) => Promise<string>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  await runLoad(count, IN_FLIGHT, async (index) => {
    const outcome = await request(index);
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  });
  return counts;
}

/** What Redis has charged the tenant, by counter. */
async function charged(name: string): Promise<ReadonlyMap<string, number>> {
  const keys = ((await fleet.redis.ask('keys', `mcp:q:{${name}}:w:*`)) as string[]).toSorted();
  const values = await Promise.all(keys.map((key) => fleet.redis.ask('get', key)));
  return new Map(keys.map((key, index) => [key, Number(values[index])]));
}
const totalCharged = async (name: string) => [...(await charged(name)).values()].reduce((sum, count) => sum + count, 0);
/** An answer of Redis that came too late has charged its request, and `onOutage: deny` has refused it. */
const expectExact = (counts: Readonly<Record<string, number>>, limit: number): void => {
  const { ok = 0, limits_unavailable: unavailable = 0 } = counts;
  expect(ok, JSON.stringify(counts)).toBeLessThanOrEqual(limit);
  expect(ok + unavailable, JSON.stringify(counts)).toBeGreaterThanOrEqual(limit);
  if (unavailable === 0) expect(ok).toBe(limit);
};
const isClaimOf = (tenant: string) => (command: RedisCommand) => command.args.some((arg) => arg.startsWith(`mcp:q:{${tenant}}:v:`));

describe('one limit among ten sidecars', () => {
  test('admits exactly so many, however they come', async () => {
    const caller = fleet.caller('exact');
    const monitor = await monitorRedis(fleet.redis);
    const counts = await hammer(600, (index) => send(index, caller));
    const claims = (await monitor.commands()).filter(isClaimOf('exact'));
    monitor.stop();
    expectExact(counts, 300);
    expect(Object.keys(counts)).toEqual(expect.arrayContaining(['ok', 'quota_exceeded']));
    expect([...(await charged('exact')).values()]).toEqual([300]);
    expect(new Set(claims.map(({ source }) => source)).size).toBe(2 * WORKERS);
  });

  test('takes a batch whole or not at all', async () => {
    const caller = fleet.caller('batches');
    const size = 7;
    const batches = await hammer(60, (index) =>
      send(
        index,
        caller,
        Array.from({ length: size }, () => callOf()),
      ),
    );
    const whole = await totalCharged('batches');
    expect(whole % size, JSON.stringify(batches)).toBe(0);
    expect(whole).toBeGreaterThan(200 - size);
    expectExact({ ...batches, ok: (batches['ok'] ?? 0) * size, limits_unavailable: (batches['limits_unavailable'] ?? 0) * size }, whole);
    expectExact(await hammer(20, (index) => send(index, caller)), 200 - whole);
    expect(await totalCharged('batches')).toBe(200);
  });

  test('of two quotas charges both or none', async () => {
    const subjects = ['ann', 'ben', 'cleo', 'dan', 'eve'].map((subject) => fleet.caller('both', subject));
    const counts = await hammer(500, (index) => send(index, subjects[index % 5] as Readonly<Record<string, string>>));
    expectExact(counts, 200);
    const counters = await charged('both');
    const [ofTenant, ...more] = [...counters].filter(([key]) => key.includes(':w:tenant.')).map(([, count]) => count);
    const ofSubjects = [...counters].filter(([key]) => key.includes(':w:subject.')).map(([, count]) => count);
    expect([ofTenant, more, ofSubjects.length]).toEqual([200, [], 5]);
    expect(ofSubjects.reduce((sum, count) => sum + count, 0)).toBe(200);
    expect(Math.max(...ofSubjects)).toBeLessThanOrEqual(60);
  });

  test('is another one within a second after its file has changed, everywhere, and goes on counting', async () => {
    const caller = fleet.caller('changing');
    const traffic = steadyTraffic(8, (index) => send(index, caller), 20);
    /** Whether nobody was judged by the old limit a second later. */
    const changeTo = async (requests: number, expected: string): Promise<boolean> => {
      const began = performance.now();
      fleet.putTenant('changing', { onOutage, quotas: [{ requests, per }] });
      await waitFor('requests after the change', () => traffic.between(began + CHANGED_WITHIN_MS).length > 200, { timeoutMs: 30_000 });
      // However slow the machine is: it takes effect, everywhere and for good.
      await waitFor(
        'the change',
        () => {
          const last = traffic.sent.slice(-200).map(({ outcome }) => outcome);
          const others = last.filter((outcome) => outcome !== expected && outcome !== 'limits_unavailable');
          return traffic.sent.length > 300 && last.includes(expected) && others.length === 0;
        },
        {
          timeoutMs: 30_000,
        },
      );
      const after = countOutcomes(traffic.between(began + CHANGED_WITHIN_MS));
      return Object.keys(after).every((outcome) => outcome === expected || outcome === 'limits_unavailable');
    };
    try {
      await waitFor('refusals', () => traffic.sent.length > 100);
      expect(Object.keys(countOutcomes(traffic.sent)).filter((outcome) => outcome !== 'limits_unavailable')).toEqual(['quota_exceeded']);
      const inTime: boolean[] = [];
      // A machine that does something else for a second must not look like a gateway that does: one change in time shows that it can.
      for (let round = 0; round < 3 && inTime.filter(Boolean).length < 2; round += 1) {
        inTime.push(await changeTo(1_000_000, 'ok'));
        const used = await totalCharged('changing');
        inTime.push(await changeTo(used, 'quota_exceeded'));
      }
      expect(inTime.filter(Boolean).length).toBeGreaterThanOrEqual(2);
    } finally {
      await traffic.stop();
    }
  });
});

describe('places', () => {
  test('limits.sessions: exactly so many, and one more when one has ended at another gateway', async () => {
    const headers = fleet.caller('sessions');
    const open = (index: number) => openSession(gatewayOf(index).backendUrl('counter'), { headers });
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, (_, index) => open(index)));
    const sessions = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const refill = async (): Promise<boolean> => {
      const refusal = await open(0).then((session) => void sessions.push(session), String);
      return refusal?.includes('Too many sessions') ?? false;
    };
    const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : []));
    // On a busy machine Redis may be late; who is refused for that is asked again until all twelve places are taken.
    const late = reasons.filter((reason) => !reason.includes('Too many sessions'));
    for (const reason of late) expect(reason).toMatch(/cannot be checked|not available/);
    if (late.length > 0) await waitFor('all places to be taken', () => refill());
    // A sidecar whose Redis was late could not say at once that a session has its place: another one may have taken it meanwhile.
    if (late.length > 0) expect(sessions.length).toBeGreaterThanOrEqual(12);
    else expect(sessions).toHaveLength(12);
    const [atA] = sessions.filter(({ url }) => url === fleet.a.backendUrl('counter'));
    expect(await (atA as Session).end()).toBe(200);
    if (sessions.length === 12) await waitFor('the place to be free', () => open(1));
    const refusal = await waitFor('a verdict', async () => {
      const said = await open(0).then(() => 'opened', String);
      return !said.includes('cannot be checked') && said;
    });
    expect(refusal).toContain('Too many sessions');
  });

  test('limits.concurrentRequests: exactly so many at a time, again and again', async () => {
    const caller = fleet.caller('busy');
    for (let round = 0, whole = 0; whole < 2 && round < 6; round += 1) {
      const outcomes = await Promise.all(Array.from({ length: 30 }, (_, index) => send(index, caller, callOf('slow', { ms: 5_000 }))));
      const admitted = outcomes.filter((outcome) => outcome === 'ok').length;
      expect(admitted).toBeLessThanOrEqual(6);
      // A round in which Redis was late, as on a busy machine, is asked again: what it had lent then was given back.
      const judged = outcomes.every((outcome) => outcome === 'ok' || outcome === 'too_many_requests');
      if (judged) expect(admitted).toBe(6);
      if (judged) whole += 1;
      if (round === 5) expect(whole).toBeGreaterThan(0);
      await waitFor('the places to be free', async () => (await fleet.redis.ask('zcard', 'mcp:q:{busy}:c')) === 0);
    }
  });
});

/** What processes do by themselves, however many requests there are; sessions of another test keep their places, too. */
const isBackground = ({ name, args: [first = '', , key = ''] }: RedisCommand): boolean =>
  ['ping', 'subscribe', 'scard'].includes(name) || /^mcp:(\{s\}:|alive$|q:\{sessions\}:)/.test(name.startsWith('eval') ? key : first);
/** Requests that were not judged by Redis in time. */
const failures = async () => (await fleet.metrics()).get('mcp_limits_events_total{event="failed"}') ?? 0;

/** The commands that such a load costs, in a round in which Redis was always in time: on a busy machine the first may not be it. */
async function costOf(count: number, request: (index: number) => Promise<string>, expected: string): Promise<readonly RedisCommand[]> {
  return waitFor(
    'a round without an outage',
    async () => {
      const before = await failures();
      await fleet.redis.resetCounts();
      const monitor = await monitorRedis(fleet.redis);
      try {
        const counts = await hammer(count, request);
        const commands = await monitor.commands();
        const calls = (await fleet.redis.commandCounts()).get('evalsha');
        if ((await failures()) > before) return false;
        expect(counts).toEqual({ [expected]: count });
        const scripts = commands.filter(({ name }) => name.startsWith('eval'));
        // A connection that uses a script for the first time sends its text.
        if (scripts.some(({ name }) => name === 'eval')) return false;
        expect(Math.abs(scripts.length - (calls ?? 0)), 'the monitor has seen them all, but for the last moment').toBeLessThan(20);
        return commands.filter((command) => !isBackground(command));
      } finally {
        monitor.stop();
      }
    },
    { timeoutMs: 50_000 },
  );
}

describe('Redis is asked', () => {
  test('once for each request that is admitted, and for nothing else', async () => {
    const caller = fleet.caller('cheap');
    const commands = await costOf(600, (index) => send(index, caller), 'ok');
    expect(new Set(commands.map(({ name }) => name))).toEqual(new Set(['evalsha']));
    expect(commands.filter(isClaimOf('cheap'))).toHaveLength(600);
    expect(commands).toHaveLength(600);
  });

  test('once, and told of the end when there is something to give back', async () => {
    const caller = fleet.caller('leased');
    const commands = await costOf(200, (index) => send(index, caller), 'ok');
    expect(commands.filter(isClaimOf('leased'))).toHaveLength(200);
    expect(commands.length).toBeLessThanOrEqual(400);
    expect(new Set(commands.map(({ name }) => name))).toEqual(new Set(['evalsha']));
    await waitFor('all to be given back', async () => (await fleet.redis.ask('zcard', 'mcp:q:{leased}:c')) === 0);
  });

  test('not at all for a tenant that is over its limit', async () => {
    const caller = fleet.caller('exact');
    // Each sidecar has to hear of it once, and one that does without Redis at the moment hears nothing.
    await waitFor(
      'a round that costs nothing',
      async () => (await costOf(500, (index) => send(index, caller), 'quota_exceeded')).length === 0,
    );
  });
});

describe('nothing is charged twice', () => {
  /** Every request that Redis was asked about is charged once, whatever became of it, and however often it was asked. */
  const expectChargedOnce = async (tenant: string, traffic: Traffic, commands: readonly RedisCommand[]): Promise<void> => {
    const counts = countOutcomes(traffic.sent);
    const ids = commands.filter(isClaimOf(tenant)).map(({ args }) => args[2]);
    const { ok = 0, limits_unavailable: unavailable = 0, policy_unavailable: undecided = 0 } = counts;
    expect(await totalCharged(tenant), JSON.stringify(counts)).toBe(new Set(ids).size);
    expect(new Set(ids).size, JSON.stringify(counts)).toBeLessThanOrEqual(traffic.sent.length);
    expect(new Set(ids).size, JSON.stringify(counts)).toBeGreaterThanOrEqual(traffic.sent.length - unavailable - undecided);
    expect(ok, JSON.stringify(counts)).toBeGreaterThan(0.95 * traffic.sent.length - unavailable);
  };

  test('when sidecars are killed under load, and Envoy repeats what they were asked', async () => {
    const caller = fleet.caller('retried');
    const monitor = await monitorRedis(fleet.redis);
    const traffic = steadyTraffic(24, (index) => send(index, caller), 0);
    try {
      for (const gateway of [fleet.a, fleet.b, fleet.a]) {
        const already = traffic.sent.length;
        await waitFor('work', () => traffic.sent.length > already + 300, { timeoutMs: 30_000 });
        await killAndWait(gateway.sidecarPids()[0] as number);
      }
      await waitFor('new sidecars', () => fleet.sidecarPids().length === 2 * WORKERS, { timeoutMs: 30_000 });
    } finally {
      await traffic.stop();
    }
    await expectChargedOnce('retried', traffic, await monitor.commands());
    monitor.stop();
  });

  test('when a server is killed under load, and every session is recovered', async () => {
    const headers = fleet.caller('recovered');
    const sessions = await Promise.all(Array.from({ length: 12 }, (_, n) => openSession(gatewayOf(n).backendUrl('counter'), { headers })));
    const monitor = await monitorRedis(fleet.redis);
    const workedAt = sessions.map(() => 0);
    const call = async (n: number): Promise<string> => {
      const sentAt = performance.now();
      const outcome = outcomeOf(await (sessions[n] as Session).send(callOf()));
      if (outcome === 'ok') workedAt[n] = sentAt;
      return outcome;
    };
    const traffic = steadyTraffic(sessions.length, call, 0);
    try {
      for (let round = 0; round < 2; round += 1) {
        const already = traffic.sent.length;
        await waitFor('work', () => traffic.sent.length > already + 300, { timeoutMs: 30_000 });
        await killAndWait(counter.pid);
        counter = await startServer('counter-server', { COUNTER_JSON: '1', PORT: new URL(counter.url).port });
        const restarted = performance.now();
        await waitFor('every session to work again', () => workedAt.every((at) => at > restarted), { timeoutMs: 30_000 });
      }
    } finally {
      await traffic.stop();
    }
    await expectChargedOnce('recovered', traffic, await monitor.commands());
    monitor.stop();
    // On a slow machine the server may take longer to come back than recovery waits for it.
    const allowed = ['ok', 'limits_unavailable', 'outcome_unknown', 'policy_unavailable', 'recovery_failed'];
    expect(Object.keys(countOutcomes(traffic.sent)).filter((outcome) => !allowed.includes(outcome))).toEqual([]);
    await waitFor('all places to be given back', async () => (await fleet.redis.ask('zcard', 'mcp:q:{recovered}:c')) === 0);
  });
});
