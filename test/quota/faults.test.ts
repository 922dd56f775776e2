// Redis killed, restarted, silent, slow and flushed while claims run: nobody waits, each tenant gets what it chose, and all is shared again.

import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRedis } from '../../src/core/redis.ts';
import { createGuardedLimits, type GuardedLimits, type LimitsEvent } from '../../src/quota/guarded-limits.ts';
import type { Claim, Verdict } from '../../src/quota/limits.ts';
import { linkLimits, serveLimits } from '../../src/quota/limits-link.ts';
import { createMemoryLimits } from '../../src/quota/memory-limits.ts';
import type { QuotaStore } from '../../src/quota/quota-store.ts';
import { createRedisLimits } from '../../src/quota/redis-limits.ts';
import { claimOf, freshTenant, session, windowOf } from '../fakes/claims.ts';
import { openLink } from '../fakes/link.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';

/** More than in production, so that a busy machine does not make an outage where the test has none. */
const LONGEST_WAIT_MS = 500;
/** That, and whatever a busy machine adds; without a time limit it would be seconds. */
const AT_ONCE_MS = 1_400;

interface Sidecar {
  readonly limits: GuardedLimits;
  readonly events: LimitsEvent[];
  /** What was said about outages, in order. */
  readonly said: string[];
  /** Claims that Redis was asked about. */
  asked(): number;
}

let server: RedisServer;
let connections: Redis[];
let sidecars: Sidecar[];
beforeEach(async () => {
  server = await startRedis();
  connections = [];
  sidecars = [];
});
afterEach(async () => {
  for (const { limits } of sidecars) limits.close();
  for (const redis of connections) redis.disconnect();
  server.resume();
  await server.stop();
});

function guard(store: QuotaStore, longestWaitMs = LONGEST_WAIT_MS): Sidecar {
  let asked = 0;
  const events: LimitsEvent[] = [];
  const said: string[] = [];
  const limits = createGuardedLimits({
    store: {
      ...store,
      admit(claim) {
        asked += 1;
        return store.admit(claim);
      },
    },
    ...{ beatMs: 200, longestWaitMs },
    onEvent: (event, count) => events.push(...Array.from({ length: count }, () => event)),
    onDown: () => said.push('down'),
    onUp: () => said.push('up'),
  });
  const sidecar = { limits, events, said, asked: () => asked };
  sidecars.push(sidecar);
  return sidecar;
}

async function sidecar(longestWaitMs?: number): Promise<Sidecar> {
  const redis = createRedis(server.url, { name: 'test' });
  connections.push(redis);
  const made = guard(createRedisLimits({ redis }), longestWaitMs);
  await isUp(made);
  return made;
}

const isUp = ({ limits }: Sidecar) => waitFor('the counters to be reached', () => !limits.state().down, { timeoutMs: 20_000 });
const isDown = ({ limits }: Sidecar) => waitFor('the outage to be noticed', () => limits.state().down);
const seesLive = ({ limits }: Sidecar, live: number) => waitFor(`${live} sidecars`, () => limits.state().live === live);
const usedOf = async ({ limits }: Sidecar, tenant: ReturnType<typeof freshTenant>) => {
  const { windows, concurrent, sessions } = await limits.usage(tenant, [windowOf(1_000)]);
  return [1_000 - (windows[0]?.remaining ?? 0), concurrent, sessions];
};

interface Traffic {
  readonly verdicts: Verdict[];
  longestMs(): number;
  stop(): Promise<void>;
}

/** Claims one after the other, as fast as they are answered, until it is stopped. */
function traffic({ limits }: Sidecar, claim: () => Claim): Traffic {
  const verdicts: Verdict[] = [];
  let longest = 0;
  let stopped = false;
  const run = async (): Promise<void> => {
    while (!stopped) {
      const started = performance.now();
      verdicts.push(await limits.admit(claim()));
      longest = Math.max(longest, performance.now() - started);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const done = run();
  return {
    verdicts,
    longestMs: () => longest,
    async stop() {
      stopped = true;
      await done;
    },
  };
}

const faults: Readonly<Record<string, { begin: () => Promise<void>; end: () => Promise<void> }>> = {
  'killed and restarted': { begin: () => server.kill(), end: () => server.restart() },
  'silent (SIGSTOP)': { begin: async () => server.pause(), end: async () => server.resume() },
};

describe.each(Object.entries(faults))('Redis %s under load', (_name, { begin, end }) => {
  it('refuses who chose to be refused, gives a share to the others, and counts together again afterwards', async () => {
    const [one, two] = [await sidecar(), await sidecar()];
    for (const each of [one, two]) await seesLive(each, 2);
    const [strict, lenient] = [freshTenant('strict'), freshTenant('lenient')];
    const limit = 1_000_000;
    const flows = [one, two].flatMap((each) => [
      traffic(each, () => claimOf(strict, { windows: [windowOf(limit)] })),
      traffic(each, () => claimOf(lenient, { windows: [windowOf(limit)], onOutage: 'allow-local' })),
    ]);
    await waitFor('traffic', () => flows.every(({ verdicts }) => verdicts.length > 20));
    expect(flows.every(({ verdicts }) => verdicts.every(({ kind }) => kind === 'admitted'))).toBe(true);

    await begin();
    for (const each of [one, two]) await isDown(each);
    const asked = [one.asked(), two.asked()];
    const answered = flows.map(({ verdicts }) => verdicts.length);
    await waitFor('more traffic', () => flows.every(({ verdicts }, index) => verdicts.length > (answered[index] as number) + 200));
    // Claims that were under way may still have been counted; nothing else is asked, although hundreds were answered.
    expect([one.asked(), two.asked()]).toEqual(asked);
    for (const [index, { verdicts }] of flows.entries()) {
      const expected = index % 2 === 0 ? 'unavailable' : 'admitted';
      expect(new Set(verdicts.slice(-100).map(({ kind }) => kind))).toEqual(new Set([expected]));
    }

    // Each of two sidecars has half of a limit.
    const small = freshTenant('small');
    const alone = async ({ limits }: Sidecar): Promise<number> => {
      let admitted = 0;
      for (let i = 0; i < 20; i += 1) {
        const verdict = await limits.admit(claimOf(small, { windows: [windowOf(9)], onOutage: 'allow-local' }));
        if (verdict.kind === 'admitted') admitted += 1;
        else expect(verdict).toMatchObject({ kind: 'refused', why: 'quota', windows: [{ limit: 9, remaining: 0 }] });
      }
      return admitted;
    };
    expect([await alone(one), await alone(two)]).toEqual([4, 4]);

    await end();
    for (const each of [one, two]) await isUp(each);
    expect((await one.limits.admit(claimOf(strict, { windows: [windowOf(limit)] }))).kind).toBe('admitted');
    for (const flow of flows) await flow.stop();
    for (const { said } of [one, two]) expect(said).toEqual(['down', 'up']);
    for (const { longestMs } of flows) expect(longestMs()).toBeLessThan(AT_ONCE_MS);

    const shared = freshTenant('shared');
    const kinds: string[] = [];
    for (let i = 0; i < 6; i += 1)
      kinds.push((await (i % 2 === 0 ? one : two).limits.admit(claimOf(shared, { windows: [windowOf(4)] }))).kind);
    expect(kinds).toEqual(['admitted', 'admitted', 'admitted', 'admitted', 'refused', 'refused']);
  });
});

it('counts from zero in a Redis that was flushed, and leases and slots come back with their use', async () => {
  const [one, two] = [await sidecar(), await sidecar()];
  const tenant = freshTenant();
  const running = claimOf(tenant, { windows: [windowOf(3)], concurrent: 5 });
  expect((await one.limits.admit(running)).kind).toBe('admitted');
  await server.flush();
  expect(await usedOf(two, tenant)).toEqual([0, 0, 0]);
  two.limits.prolong(tenant, running.requestId);
  one.limits.keepSlots([{ tenant, session: session('a'), idleMs: 60_000 }]);
  await waitFor('lease and slot', async () => (await usedOf(one, tenant)).join() === '0,1,1');
  const kinds = [];
  for (let i = 0; i < 4; i += 1) kinds.push((await one.limits.admit(claimOf(tenant, { windows: [windowOf(3)] }))).kind);
  expect(kinds).toEqual(['admitted', 'admitted', 'admitted', 'refused']);
  expect(one.said).toEqual([]);
});

it('loads its scripts again after SCRIPT FLUSH', async () => {
  const one = await sidecar();
  const tenant = freshTenant();
  expect((await one.limits.admit(claimOf(tenant, { windows: [windowOf(3)] }))).kind).toBe('admitted');
  await server.ask('script', 'flush');
  expect((await one.limits.admit(claimOf(tenant, { windows: [windowOf(3)] }))).kind).toBe('admitted');
  expect(await usedOf(one, tenant)).toEqual([2, 0, 0]);
});

it('waits 50 ms for a Redis that is slow', async () => {
  const one = await sidecar(50);
  const tenant = freshTenant();
  await server.ask('client', 'pause', '1500');
  const started = performance.now();
  const verdict = await one.limits.admit(claimOf(tenant, { windows: [windowOf(3)] }));
  expect(verdict.kind).toBe('unavailable');
  expect(performance.now() - started).toBeLessThan(AT_ONCE_MS);
  await waitFor('Redis to be asked', async () => {
    await isUp(one);
    return (await one.limits.admit(claimOf(tenant, { windows: [windowOf(1_000)] }))).kind === 'admitted';
  });
});

it('gives back what Redis lent for a claim that had to be refused meanwhile', async () => {
  const [one, two] = [await sidecar(), await sidecar()];
  const tenant = freshTenant();
  server.pause();
  const late = claimOf(tenant, { concurrent: 1, sessions: 1 });
  expect((await one.limits.admit(late)).kind).toBe('unavailable');
  server.resume();
  for (const each of [one, two]) await isUp(each);
  await waitFor('lease and slot to be free', async () => (await usedOf(two, tenant)).join() === '0,0,0');
  expect((await two.limits.admit(claimOf(tenant, { concurrent: 1, sessions: 1 }))).kind).toBe('admitted');
});

it('tells ends of requests and sessions that came during an outage, when it is over', async () => {
  const [one, two] = [await sidecar(), await sidecar()];
  const tenant = freshTenant();
  const claims = [1, 2, 3].map(() => claimOf(tenant, { concurrent: 3, sessions: 3 }));
  for (const claim of claims) expect((await one.limits.admit(claim)).kind).toBe('admitted');
  server.pause();
  await isDown(two);
  for (const { requestId } of claims) two.limits.release(tenant, requestId);
  for (const { requestId } of claims.slice(1)) two.limits.releaseSlot(tenant, requestId);
  server.resume();
  for (const each of [one, two]) await isUp(each);
  await waitFor('the ends to be told', async () => (await usedOf(one, tenant)).join() === '0,0,1');
});

it('lends its share of leases during an outage, and takes them back when they end after it', async () => {
  const one = await sidecar();
  const tenant = freshTenant();
  const claim = (): Claim => claimOf(tenant, { concurrent: 2, onOutage: 'allow-local' });
  await server.kill();
  await isDown(one);
  const [first, second] = [claim(), claim()];
  const kinds: string[] = [];
  for (const each of [first, second, claim()]) kinds.push((await one.limits.admit(each)).kind);
  expect(kinds).toEqual(['admitted', 'admitted', 'refused']);
  await server.restart();
  await isUp(one);
  one.limits.release(tenant, first.requestId);
  await server.kill();
  await isDown(one);
  expect((await one.limits.admit(claim())).kind).toBe('admitted');
  expect((await one.limits.admit(claim())).kind).toBe('refused');
  // Repeats of what was admitted, before or during the outage, are answered as before.
  expect((await one.limits.admit(second)).kind).toBe('admitted');
});

it('says that Redis is missing when it was never there, and uses it once it comes', async () => {
  await server.kill();
  const redis = createRedis(server.url, { name: 'test' });
  connections.push(redis);
  const one = guard(createRedisLimits({ redis }));
  expect((await one.limits.admit(claimOf(freshTenant()))).kind).toBe('unavailable');
  await waitFor('the word', () => one.said.length > 0);
  await server.restart();
  await isUp(one);
  expect(one.said).toEqual(['down', 'up']);
  expect((await one.limits.admit(claimOf(freshTenant()))).kind).toBe('admitted');
});

it('a busy process does not take its own pause for an outage', async () => {
  const one = await sidecar(50);
  const tenant = freshTenant();
  const answers = [1, 2, 3].map(async () => one.limits.admit(claimOf(tenant, { windows: [windowOf(10)] })));
  // The requests leave in this turn of the event loop; their answers arrive while nobody reads.
  await new Promise((resolve) => setImmediate(resolve));
  const until = performance.now() + 500;
  while (performance.now() < until);
  expect((await Promise.all(answers)).map(({ kind }) => kind)).toEqual(['admitted', 'admitted', 'admitted']);
  expect(one.said).toEqual([]);
});

it('does without the supervisor when the link to it ends', async () => {
  const store = createMemoryLimits();
  const line = await openLink((connection) => serveLimits(connection, store));
  try {
    const { connection, die } = await line.client(() => {});
    const one = guard(linkLimits(connection));
    const other = guard(linkLimits((await line.client(() => {})).connection));
    for (const each of [one, other]) await seesLive(each, 2);
    const tenant = freshTenant();
    const flow = traffic(one, () => claimOf(tenant, { windows: [windowOf(1_000_000)], onOutage: 'allow-local' }));
    await waitFor('traffic', () => flow.verdicts.length > 20);
    die();
    await isDown(one);
    expect((await one.limits.admit(claimOf(freshTenant(), { windows: [windowOf(5)] }))).kind).toBe('unavailable');
    await flow.stop();
    expect(flow.verdicts.every(({ kind }) => kind === 'admitted')).toBe(true);
    expect(flow.longestMs()).toBeLessThan(AT_ONCE_MS);
    await expect(one.limits.usage(tenant, [])).rejects.toThrow(/closed|no answer/i);
  } finally {
    await line.close();
  }
});
