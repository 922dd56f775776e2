// Log lines as events: whole lines however they come in, a long one in pieces, and an end that nothing holds up.

import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { eventually } from '../../test/harness/eventually.ts';
import { asEvents } from './log-events.ts';

afterEach(() => vi.useRealTimers());

async function eventsOf(pieces: Iterable<string> | AsyncIterable<string>, signal = new AbortController().signal): Promise<string> {
  let text = '';
  for await (const event of asEvents(pieces, signal)) text += event;
  return text;
}

/** As a client of server-sent events reads them. */
const linesIn = (text: string): string[] =>
  text
    .split('\n\n')
    .filter((event) => event.startsWith('data: '))
    .map((event) => event.slice('data: '.length));

test.each([
  [['a\nb\n'], 'data: a\n\ndata: b\n\n'],
  [['a', '\n', 'b\n'], 'data: a\n\ndata: b\n\n'],
  [['a\nb'], 'data: a\n\ndata: b\n\n'],
  [['a\r', '\nb\r\n'], 'data: a\n\ndata: b\n\n'],
  [['a\rb\n'], 'data: a\n\ndata: b\n\n'],
  [['\n\n'], 'data: \n\ndata: \n\n'],
  [['event: x\nid: 1\n'], 'data: event: x\n\ndata: id: 1\n\n'],
  [[''], ''],
  [[], ''],
])('%j', async (pieces, events) => {
  expect(await eventsOf(pieces)).toBe(events);
});

test('the lines are the same, wherever they are cut', async () => {
  const line = fc.stringMatching(/^[ -~é]{0,12}$/);
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 8 }), fc.array(fc.nat(100), { maxLength: 8 }), async (all, cuts) => {
      const text = `${all.join('\n')}\n`;
      const at = [0, ...cuts.map((cut) => cut % (text.length + 1)).toSorted((a, b) => a - b), text.length];
      const pieces = at.slice(1).map((end, n) => text.slice(at[n], end));
      expect(linesIn(await eventsOf(pieces))).toEqual(all);
    }),
  );
});

test('a line that does not end is sent in pieces, and nothing of it is lost', async () => {
  const piece = 'x'.repeat(40_000);
  const sent = linesIn(await eventsOf([piece, piece, piece, '\n']));
  expect(sent.length).toBeGreaterThan(1);
  expect(sent.join('')).toBe(piece.repeat(3));
});

test('while nothing is written there is a sign of life', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const stop = new AbortController();
  const silent = (async function* () {
    yield 'a\n';
    await new Promise((resolve) => stop.signal.addEventListener('abort', resolve));
  })();
  const events = asEvents(silent, stop.signal);
  expect((await events.next()).value).toBe('data: a\n\n');
  for (let time = 0; time < 2; time += 1) {
    const next = events.next();
    await vi.advanceTimersByTimeAsync(60_000);
    expect((await next).value).toMatch(/^:.*\n\n$/);
  }
  stop.abort();
  const end = events.next();
  await vi.advanceTimersByTimeAsync(60_000);
  expect((await end).done).toBe(true);
});

test('who stops reading ends the source, and what the source says of that is nobody’s', async () => {
  let ended = false;
  let fail = (): void => {};
  const source = (async function* () {
    try {
      yield 'a\n';
      await new Promise((_, reject) => {
        fail = () => reject(new Error('the file is gone'));
      });
    } finally {
      ended = true;
    }
  })();
  for await (const event of asEvents(source, new AbortController().signal)) {
    expect(event).toBe('data: a\n\n');
    break;
  }
  fail();
  await eventually(() => expect(ended).toBe(true));
});

test('a source that fails is an error for who reads', async () => {
  const source = (async function* () {
    yield 'a\n';
    throw new Error('no');
  })();
  await expect(eventsOf(source)).rejects.toThrow('no');
});
