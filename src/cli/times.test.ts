// Times in the words of people.

import { expect, test } from 'vitest';
import { ago, inTime } from './times.ts';

const NOW = Date.parse('2026-08-01T12:00:00Z');

test.each([
  ['2026-08-01T12:00:00.000Z', '0s ago'],
  ['2026-08-01T12:00:05.000Z', '0s ago'],
  ['2026-08-01T11:59:01.000Z', '59s ago'],
  ['2026-08-01T11:56:10.000Z', '3m ago'],
  ['2026-08-01T10:00:01.000Z', '1h ago'],
  ['2026-07-20T12:00:00.000Z', '12d ago'],
])('%s was %s', (time, words) => {
  expect(ago(time, NOW)).toBe(words);
});

test('what is to come', () => {
  expect([999, 12_345, 3_599_999].map(inTime)).toEqual(['in 0s', 'in 12s', 'in 59m']);
});
