// Which uses are written to Redis, and when.

import { expect, test, vi } from 'vitest';
import type { SessionKey } from '../core/ids.ts';
import { createUses } from './redis-uses.ts';

const keys = (...names: string[]) => names as SessionKey[];

test('a session is written at most every 30 seconds', () => {
  let now = 0;
  const written: string[] = [];
  const used = createUses(
    async (some) => written.push(...some),
    () => now,
  );
  used(keys('a', 'b'));
  now = 29_999;
  used(keys('a', 'b', 'c'));
  now = 30_000;
  used(keys('a'));
  expect(written).toEqual(['a', 'b', 'c', 'a']);
});

test('many are written in several scripts', () => {
  const sizes: number[] = [];
  const used = createUses(
    async (some) => sizes.push(some.length),
    () => 0,
  );
  used(keys(...Array.from({ length: 450 }, (_, n) => `${n}`)));
  used([]);
  expect(sizes).toEqual([200, 200, 50]);
});

test('what could not be written is written with the next use', async () => {
  const write = vi.fn<(some: readonly SessionKey[]) => Promise<void>>().mockRejectedValueOnce(new Error('gone')).mockResolvedValue();
  const used = createUses(write, () => 0);
  used(keys('a'));
  await new Promise(setImmediate);
  used(keys('a'));
  used(keys('a'));
  expect(write).toHaveBeenCalledTimes(2);
});
