// Who leads, by the Lease alone: clocks of others do not matter, and what others write to it does.

import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import type { KubeObject } from '../objects.ts';
import { KubeError } from '../transport.ts';
import { type Leader, type LeaderOptions, type LeaseClock, type LeaseTiming, takePart } from './leader.ts';

const timing: LeaseTiming = { leaseMs: 15_000, deadlineMs: 10_000, renewMs: 2_000, pollMs: 1_000 };
const leaders: Leader[] = [];

afterEach(async () => {
  await Promise.all(leaders.splice(0).map((leader) => leader.close()));
});

/** Time that passes when the test says so. */
function manualClock() {
  let time = 1;
  const sleepers = new Set<{ readonly due: number; wake: () => void }>();
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const clock: LeaseClock = {
    now: () => time,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const sleeper = { due: time + ms, wake: resolve };
        sleepers.add(sleeper);
        const stop = (): void => {
          sleepers.delete(sleeper);
          reject(signal.reason as Error);
        };
        signal.addEventListener('abort', stop);
        sleeper.wake = () => {
          signal.removeEventListener('abort', stop);
          resolve();
        };
      }),
  };
  const pass = async (ms: number): Promise<void> => {
    const end = time + ms;
    for (;;) {
      await turn();
      const next = [...sleepers].toSorted((a, b) => a.due - b.due)[0];
      if (!next || next.due > end) break;
      sleepers.delete(next);
      time = next.due;
      next.wake();
    }
    time = end;
  };
  return { clock, pass };
}
const { clock, pass } = manualClock();

/** One Lease, as an API server keeps it. */
function server(first?: Record<string, unknown>) {
  let version = 1;
  let lease: KubeObject | undefined = first && { metadata: { name: 'l', namespace: 'n', resourceVersion: '1' }, spec: first };
  let reachable = true;
  const put = (object: KubeObject): KubeObject => {
    version += 1;
    lease = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } };
    return lease;
  };
  const answer = async <T>(work: () => unknown): Promise<T> => {
    if (!reachable) throw new Error('unreachable');
    return work() as T;
  };
  const api: LeaderOptions['api'] = {
    get: () => answer(() => lease),
    create: (_, object) =>
      answer(() => {
        if (lease) throw new KubeError(409, 'AlreadyExists', 'exists');
        return put(object);
      }),
    replace: (_, object) =>
      answer(() => {
        if (object.metadata.resourceVersion !== lease?.metadata.resourceVersion) throw new KubeError(409, 'Conflict', 'stale');
        return put(object);
      }),
  };
  return {
    api,
    spec: () => (lease as { spec?: Record<string, unknown> } | undefined)?.spec ?? {},
    edit: (change: Partial<KubeObject>) => void put({ ...(lease as KubeObject), ...change }),
    cut: (is: boolean) => {
      reachable = !is;
    },
  };
}

function candidate(api: LeaderOptions['api'], identity: string): Leader {
  const leader = takePart({
    ...{ api, identity, timing, clock, namespace: 'n', name: 'l', log: pino({ level: 'silent' }) },
    lead: ({ signal }) =>
      new Promise((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve());
      }),
  });
  leaders.push(leader);
  return leader;
}

it('one leads, the other waits, and takes over at once what is given away', async () => {
  const { api, spec } = server();
  const [a, b] = [candidate(api, 'a'), candidate(api, 'b')];
  await pass(60_000);
  expect([a.isLeader(), b.isLeader()].filter(Boolean)).toHaveLength(1);
  const [leader, other] = a.isLeader() ? [a, b] : [b, a];
  expect(spec()).toMatchObject({ leaseDurationSeconds: 15, leaseTransitions: expect.any(Number) });
  expect(spec()['renewTime']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  await leader.close();
  expect(spec()['holderIdentity']).toBe('');
  await pass(1_500);
  expect(other.isLeader()).toBe(true);
  expect(other.holder()).toBe(spec()['holderIdentity']);
});

it.each(['1999-01-01T00:00:00.000000Z', '2999-01-01T00:00:00.000000Z'])(
  'a lease renewed at %s is free when it has not changed for its time',
  async (renewTime) => {
    const { api, spec, edit } = server({ holderIdentity: 'elsewhere', leaseDurationSeconds: 15, renewTime });
    const leader = candidate(api, 'a');
    await pass(14_000);
    edit({ spec: { ...spec(), leaseTransitions: 1 } });
    await pass(14_000);
    expect(leader.isLeader()).toBe(false);
    expect(leader.holder()).toBe('elsewhere');
    await pass(3_000);
    expect(leader.isLeader()).toBe(true);
  },
);

it('an annotation on the lease neither ends nor prolongs it', async () => {
  const { api, spec, edit } = server();
  const leader = candidate(api, 'a');
  await pass(1_000);
  for (let at = 0; at < 20; at += 1) {
    edit({ metadata: { name: 'l', namespace: 'n', annotations: { at: String(at) } } });
    await pass(1_000);
    expect(leader.isLeader()).toBe(true);
  }
  expect(String(spec()['holderIdentity'])).toMatch(/^a_/);
});

it('whoever cannot renew stops before the others may begin, and leads again when nobody else did', async () => {
  const { api, cut } = server();
  const leader = candidate(api, 'a');
  await pass(5_000);
  cut(true);
  await pass(8_000);
  expect(leader.isLeader()).toBe(true);
  await pass(2_500);
  expect(leader.isLeader()).toBe(false);
  cut(false);
  await pass(2_000);
  expect(leader.isLeader()).toBe(true);
});
