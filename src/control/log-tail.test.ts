// The end of a log, and following it across the moment when it is moved aside.

import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../../test/harness/eventually.ts';
import { followFrom, MAX_TAIL_BYTES, readTail } from './log-tail.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tail-'));
  file = join(folder, 'a.log');
});
afterEach(() => rmSync(folder, { recursive: true }));

test.each([
  ['a\nb\nc\n', 2, 'b\nc\n'],
  ['a\nb\nc', 2, 'b\nc'],
  ['a\nb\nc\n', 3, 'a\nb\nc\n'],
  ['a\nb\nc\n', 9, 'a\nb\nc\n'],
  ['\n\na\n', 2, '\na\n'],
  ['\n\n\n', 2, '\n\n'],
  ['a\n', 0, ''],
  ['', 5, ''],
])('of %j the last %i lines are %j', async (text, lines, expected) => {
  writeFileSync(file, text);
  expect(await readTail(file, lines)).toEqual({ text: expected, end: text.length });
});

test('a file that is not there yet has no lines', async () => {
  expect(await readTail(file, 10)).toEqual({ text: '', end: 0 });
});

test('of a large file only whole lines of its end are read', async () => {
  const line = `${'x'.repeat(99)}\n`;
  writeFileSync(file, line.repeat(20_000));
  const { text, end } = await readTail(file, 1_000_000);
  expect(end).toBe(2_000_000);
  expect(text.length).toBeLessThanOrEqual(MAX_TAIL_BYTES);
  expect(text.length).toBeGreaterThan(MAX_TAIL_BYTES - 200);
  expect(text.startsWith('x'.repeat(99))).toBe(true);
});

test('a file that is shorter than what was read is read from its beginning', async () => {
  writeFileSync(file, 'new\n');
  const following = followFrom(file, 1_000, new AbortController().signal);
  expect((await following.next()).value).toBe('new\n');
  await following.return(undefined);
});

test('what is added is told until nobody listens, also after the file was moved aside', async () => {
  writeFileSync(file, 'old\n');
  const stop = new AbortController();
  let seen = '';
  const following = (async () => {
    for await (const text of followFrom(file, 4, stop.signal)) seen += text;
  })();
  appendFileSync(file, 'größer\n');
  await eventually(() => expect(seen).toBe('größer\n'));
  renameSync(file, `${file}.1`);
  writeFileSync(file, 'new\n');
  await eventually(() => expect(seen).toBe('größer\nnew\n'));
  stop.abort();
  await following;
});
