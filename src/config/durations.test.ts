// Durations as people write them.

import { expect, it } from 'vitest';
import { duration, formatDuration, parseDuration } from './durations.ts';

it.each([
  ['45s', 45_000],
  ['30m', 1_800_000],
  ['12h', 43_200_000],
  ['30d', 2_592_000_000],
  ['250ms', 250],
])('%s is %i ms', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
  expect(formatDuration(milliseconds)).toBe(text);
});

it.each(['', '30', 'm', '1.5h', '-1s', '1h30m', ' 1s', '1 s', '1w', '4000d', '9999999999999s'])('refuses %j', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

it('has a least value', () => {
  expect(duration({ minMs: 1000 }).safeParse('999ms').success).toBe(false);
  expect(duration({ minMs: 1000 }).parse('1s')).toBe(1000);
});
