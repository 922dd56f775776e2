// Who gets new work: spread, newcomers, instances that refused, and counts from the store.

import { describe, expect, test } from 'vitest';
import { backendOf, instanceOf } from '../../test/fakes/backends.ts';
import type { InstanceId } from '../core/ids.ts';
import { createBalancer } from './balancer.ts';

const three = backendOf({ instances: ['i1', 'i2', 'i3'].map((id) => instanceOf(id)) });
const id = (text: string): InstanceId => text as InstanceId;

function spread(picks: Iterable<string | undefined>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const pick of picks) if (pick !== undefined) counts[pick] = (counts[pick] ?? 0) + 1;
  return counts;
}
const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

test.each([true, false])('work is spread evenly (sessions: %s)', (forSession) => {
  const balancer = createBalancer();
  expect(spread(times(3_000, () => balancer.pick(three, forSession)?.id))).toEqual({ i1: 1_000, i2: 1_000, i3: 1_000 });
});

test('one request to each of many sidecars does not go to one instance', () => {
  const counts = spread(times(600, () => createBalancer().pick(three, false)?.id));
  for (const name of ['i1', 'i2', 'i3']) expect(counts[name]).toBeGreaterThan(100);
});

test('only ready instances get any', () => {
  const balancer = createBalancer();
  const backend = backendOf({ instances: [instanceOf('i1', 'starting'), instanceOf('i2', 'draining'), instanceOf('i3')] });
  expect(spread(times(10, () => balancer.pick(backend, true)?.id))).toEqual({ i3: 10 });
  expect(balancer.pick(backendOf({ instances: [] }), true)).toBeUndefined();
  expect(balancer.pick(backendOf({ instances: [instanceOf('i1', 'draining')] }), false)).toBeUndefined();
});

describe('sessions', () => {
  test('go where the fewest are, by the count of all sidecars', () => {
    const balancer = createBalancer();
    balancer.report(
      new Map([
        [id('i1'), 10],
        [id('i2'), 4],
        [id('i3'), 7],
      ]),
    );
    expect(spread(times(9, () => balancer.pick(three, true)?.id))).toEqual({ i2: 6, i3: 3 });
  });

  test('a report replaces what was counted here', () => {
    const balancer = createBalancer();
    times(30, () => balancer.pick(three, true));
    balancer.report(
      new Map([
        [id('i1'), 1],
        [id('i2'), 1],
      ]),
    );
    expect(balancer.pick(three, true)?.id).toBe('i3');
  });
});

describe('stateless requests', () => {
  const two = backendOf();

  test('a newcomer is not flooded', () => {
    const balancer = createBalancer();
    times(10_000, () => balancer.pick(two, false));
    const counts = spread(times(300, () => balancer.pick(three, false)?.id));
    for (const name of ['i1', 'i2', 'i3']) expect(counts[name]).toBeGreaterThan(95);
  });

  test('nor is one that comes back after it was avoided or not ready', () => {
    let now = 0;
    const balancer = createBalancer(() => now);
    balancer.pick(three, false);
    balancer.suspect(id('i2'));
    times(5_000, () => balancer.pick(three, false));
    now = 10_000;
    const counts = spread(times(300, () => balancer.pick(three, false)?.id));
    for (const name of ['i1', 'i2', 'i3']) expect(counts[name]).toBeGreaterThan(95);
  });
});

describe('an instance that refused', () => {
  test('gets nothing for two seconds', () => {
    let now = 0;
    const balancer = createBalancer(() => now);
    balancer.suspect(id('i1'));
    now = 1_999;
    expect(spread(times(20, () => balancer.pick(three, true)?.id))).toEqual({ i2: 10, i3: 10 });
    now = 2_000;
    expect(balancer.pick(three, true)?.id).toBe('i1');
  });

  test('is better than none', () => {
    const balancer = createBalancer();
    const one = backendOf({ instances: [instanceOf('i1')] });
    balancer.suspect(id('i1'));
    expect(balancer.pick(one, true)?.id).toBe('i1');
    expect(balancer.pick(one, true, id('i1'))?.id).toBe('i1');
  });

  test('comes before the one that this very request has tried', () => {
    const balancer = createBalancer();
    balancer.suspect(id('i2'));
    for (let n = 0; n < 10; n += 1) expect(balancer.pick(backendOf(), true, id('i1'))?.id).toBe('i2');
  });
});
