// The memory of answers: how long it lasts, and how much it holds.

import { expect, it } from 'vitest';
import { createRemembered } from './remembered.ts';

it('remembers until the given time, and not beyond', () => {
  const memory = createRemembered<string>(100, 60_000);
  memory.set('a', 'one', 60_000, 0);
  memory.set('b', 'two', 5_000, 0);
  expect([memory.get('a', 4_999), memory.get('b', 4_999), memory.get('c', 0)]).toEqual(['one', 'two', undefined]);
  expect([memory.get('a', 59_999), memory.get('b', 5_000)]).toEqual(['one', undefined]);
  expect(memory.get('a', 60_000)).toBeUndefined();
});

it('keeps an entry for its whole time, whatever else comes meanwhile', () => {
  const memory = createRemembered<number>(1_000, 60_000);
  for (let now = 0; now < 200_000; now += 1_000) {
    memory.set(`at ${now}`, now, now + 60_000, now);
    for (let then = Math.max(0, now - 59_000); then <= now; then += 1_000) expect(memory.get(`at ${then}`, now)).toBe(then);
  }
});

it('holds no more than it may, the latest half at least', () => {
  const memory = createRemembered<number>(100, 60_000);
  for (let n = 0; n < 1_000; n += 1) memory.set(`n ${n}`, n, 60_000, 0);
  const held = Array.from({ length: 1_000 }, (_, n) => n).filter((n) => memory.get(`n ${n}`, 1) !== undefined);
  expect(held.length).toBeLessThanOrEqual(100);
  expect(held).toEqual(expect.arrayContaining(Array.from({ length: 50 }, (_, n) => 950 + n)));
});

it('is empty when all of it is too old', () => {
  const memory = createRemembered<number>(100, 60_000);
  expect(memory.isEmpty(0)).toBe(true);
  memory.set('a', 1, 60_000, 0);
  expect(memory.isEmpty(59_999)).toBe(false);
  expect(memory.isEmpty(130_000)).toBe(true);
});
