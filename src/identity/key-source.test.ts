// When an issuer's keys are read again, and what holds while they cannot be read.

import { pino } from 'pino';
import { expect, it } from 'vitest';
import { createTestKey } from '../../test/fixtures/tokens/keys.ts';
import { type KeySet, readKeySet } from './key-set.ts';
import { createKeySource } from './key-source.ts';

const [first, second] = await Promise.all([createTestKey('ES256', 'one'), createTestKey('ES256', 'two')]);
const one = readKeySet({ keys: [first.jwk] });
const two = readKeySet({ keys: [first.jwk, second.jwk] });
const MINUTE = 60_000;

/** A source whose endpoint answers what it is told: a key set, or an Error; `hold` makes answers wait for `release`. */
async function world(answer: KeySet | Error, { timeoutMs = 5000 } = {}) {
  const lines: string[] = [];
  const held: (() => void)[] = [];
  const state = { now: 1_000_000_000_000, answer, hold: false, loads: 0 };
  const source = createKeySource({
    issuer: 'https://a.example/',
    now: () => state.now,
    timeoutMs,
    log: pino({ base: null, timestamp: false }, { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) }),
    async load() {
      state.loads += 1;
      const given = state.answer;
      if (state.hold) await new Promise<void>((resolve) => held.push(resolve));
      if (given instanceof Error) throw given;
      return given;
    },
  });
  await source.settled();
  const release = () => {
    for (const resolve of held.splice(0)) resolve();
  };
  return { source, state, lines, release };
}

const down = new Error('ECONNREFUSED');

it('reads them once, for everybody who waits', async () => {
  const { source, state, lines } = await world(one);
  expect(await Promise.all([source.settled(), source.settled()])).toEqual([one, one]);
  expect(source.current()).toBe(one);
  expect([state.loads, lines]).toEqual([1, ['issuer keys read']]);
});

it('after ten minutes reads them in the background, and keeps the object while the keys are the same', async () => {
  const { source, state, lines } = await world(one);
  state.now += 10 * MINUTE;
  state.answer = readKeySet({ keys: [first.jwk] });
  expect(source.current()).toBe(one);
  await source.settled();
  expect([source.current() === one, state.loads]).toEqual([true, 2]);
  state.now += 10 * MINUTE;
  state.answer = two;
  expect(source.current()).toBe(one);
  await source.settled();
  expect(source.current()).toBe(two);
  expect(lines).toEqual(['issuer keys read', 'issuer keys read']);
});

it('after a long pause waits for them, so that a withdrawn key is not taken once more', async () => {
  const { source, state } = await world(two);
  state.now += 20 * MINUTE;
  state.answer = one;
  expect(source.current()).toBeUndefined();
  expect(await source.settled()).toBe(one);
});

it('asks again for an unknown key, once in 30 s', async () => {
  const { source, state } = await world(one);
  state.answer = two;
  expect(await Promise.all([source.again(), source.again()])).toEqual([two, two]);
  expect(state.loads).toBe(2);
  state.now += 29_999;
  await source.again();
  expect(state.loads).toBe(2);
  state.now += 1;
  await source.again();
  expect(state.loads).toBe(3);
});

it('keeps the last good ones for a day while the endpoint fails, waits for nothing, and says so once', async () => {
  const { source, state, lines } = await world(one);
  state.answer = down;
  state.now += 20 * MINUTE;
  expect(await source.settled()).toBe(one);
  for (let minutes = 0; minutes < 100; minutes += 10) {
    state.now += 10 * MINUTE;
    expect(source.current()).toBe(one);
    await source.settled();
  }
  expect(source.failing()).toBe(true);
  expect(lines).toEqual(['issuer keys read', 'issuer keys cannot be read']);
  state.answer = one;
  state.now += MINUTE;
  await source.settled();
  expect([source.failing(), lines.at(-1)]).toEqual([false, 'issuer keys can be read again']);
  state.answer = down;
  state.now += 24 * 60 * MINUTE;
  expect(source.current()).toBeUndefined();
  expect(await source.settled()).toBeUndefined();
});

it('without any keys tries again after 1, 2, 4 … up to 30 s', async () => {
  const { source, state } = await world(down);
  const pauses: number[] = [];
  for (let pause = 0; pauses.length < 7; pause += 1) {
    const before = state.loads;
    expect(await source.settled()).toBeUndefined();
    if (state.loads > before) {
      pauses.push(pause);
      pause = 0;
    }
    state.now += 1000;
  }
  expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30]);
  state.answer = one;
  state.now += 30_000;
  expect(await source.settled()).toBe(one);
});

it('asks for an unknown key again as soon as a failing endpoint may have recovered', async () => {
  const { source, state } = await world(one);
  state.answer = down;
  expect(await source.again()).toBe(one);
  state.answer = two;
  state.now += 1000;
  expect(await source.again()).toBe(two);
});

it('an answer after the timeout is not used, so that it cannot overwrite a later one', async () => {
  const { source, state, release } = await world(one, { timeoutMs: 10 });
  state.hold = true;
  expect(await source.again()).toBe(one);
  expect(source.failing()).toBe(true);
  state.hold = false;
  state.answer = two;
  state.now += 1000;
  expect(await source.again()).toBe(two);
  release();
  await source.settled();
  expect(source.current()).toBe(two);
});

it('a clock that is set back does not stop the refreshes', async () => {
  const { source, state } = await world(one);
  state.now -= 60 * MINUTE;
  state.answer = two;
  expect(await source.settled()).toBe(two);
  state.answer = one;
  expect(await source.again()).toBe(one);
});

it('reads nothing after it is closed', async () => {
  const { source, state } = await world(one);
  source.close();
  state.now += 20 * MINUTE;
  await source.settled();
  expect(state.loads).toBe(1);
});
