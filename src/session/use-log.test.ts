// What is reported of the use of sessions, and when.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sessionKey } from '../../test/fakes/sessions.ts';
import type { SessionKey } from '../core/ids.ts';
import { createUseLog } from './use-log.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const keys = ['a', 'b', 'c'].map(sessionKey);

test('each session once per interval, nothing when nothing was used, the rest at the end', () => {
  const reports: (readonly SessionKey[])[] = [];
  const log = createUseLog({ used: (used) => reports.push(used) });
  for (const key of [keys[0], keys[1], keys[0]]) log.used(key as SessionKey);
  expect(reports).toEqual([]);
  vi.advanceTimersByTime(5_000);
  expect(reports).toEqual([[keys[0], keys[1]]]);
  vi.advanceTimersByTime(20_000);
  expect(reports).toHaveLength(1);
  log.used(keys[2] as SessionKey);
  log.close();
  expect(reports[1]).toEqual([keys[2]]);
  expect(vi.getTimerCount()).toBe(0);
});

test('many sessions do not wait for the interval', () => {
  let reported = 0;
  const log = createUseLog({ used: (used) => (reported += used.length) });
  for (let n = 0; n < 25_000; n += 1) log.used(String(n) as SessionKey);
  expect(reported).toBe(20_000);
  log.close();
  expect(reported).toBe(25_000);
});
