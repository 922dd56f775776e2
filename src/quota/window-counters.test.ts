// Windows in memory: where they begin and end, how long they may be, and that what has ended is forgotten.

import { describe, expect, it } from 'vitest';
import { windowOf } from '../../test/fakes/claims.ts';
import { createWindowCounters } from './window-counters.ts';

const DAY_MS = 86_400_000;

describe('windows in memory', () => {
  it('are aligned to the clock', async () => {
    const counters = createWindowCounters();
    const minute = windowOf(1, { windowMs: 60_000 });
    const take = async (now: number) => (await counters.take([minute], now)).admitted;
    expect([await take(119_998), await take(119_999), await take(120_000), await take(179_999)]).toEqual([true, false, true, false]);
    expect((await counters.read([minute], 150_000))[0]).toMatchObject({ remaining: 0, resetMs: 30_000 });
  });

  it('may be longer than the longest timer', async () => {
    const counters = createWindowCounters();
    const month = windowOf(1, { windowMs: 30 * DAY_MS });
    expect((await counters.take([month], 0)).admitted).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await counters.take([month], 29 * DAY_MS)).admitted).toBe(false);
    expect((await counters.take([month], 30 * DAY_MS)).admitted).toBe(true);
  });

  it('say when all that refused have ended', async () => {
    const counters = createWindowCounters();
    const windows = [
      windowOf(0, { counter: 'a', windowMs: 1_000 }),
      windowOf(0, { counter: 'b', windowMs: 60_000 }),
      windowOf(5, { counter: 'c' }),
    ];
    expect(await counters.take(windows, 500)).toMatchObject({ admitted: false, retryAfterMs: 59_500 });
  });

  it('are forgotten when they have ended', async () => {
    const counters = createWindowCounters();
    await counters.take([windowOf(1, { windowMs: 1_000 }), windowOf(1, { windowMs: 60_000 })], 0);
    expect(counters.isEmpty(59_999)).toBe(false);
    expect(counters.isEmpty(60_000)).toBe(true);
  });

  it('are bounded: of those that end first, the oldest makes room', async () => {
    const counters = createWindowCounters(3);
    const short = (counter: string) => windowOf(1, { counter, windowMs: 1_000 });
    const long = windowOf(1, { counter: 'long' });
    for (const window of [long, short('a'), short('b'), short('c')]) expect((await counters.take([window], 0)).admitted).toBe(true);
    const left = await counters.read([long, short('a'), short('b'), short('c')], 0);
    expect(left.map(({ remaining }) => remaining)).toEqual([0, 1, 0, 0]);
  });
});
