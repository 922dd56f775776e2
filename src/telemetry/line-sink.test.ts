// Lines reach the file descriptor whole and in order, and a reader that is too slow costs lines, not memory.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLineSink } from './line-sink.ts';

let folder: string;
let file: string;
let fd: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sink-'));
  file = join(folder, 'log');
  fd = openSync(file, 'a');
});

afterEach(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

const content = (): string => readFileSync(file, 'utf8');

test('lines are written by themselves, together and in order', async () => {
  const sink = createLineSink(fd);
  const lines = Array.from({ length: 5_000 }, (_, index) => `line ${index} ü\n`);
  for (const line of lines) sink.write(line);
  await vi.waitFor(() => expect(content()).toBe(lines.join('')), { timeout: 10_000 });
});

test('at the end nothing waits', () => {
  const sink = createLineSink(fd);
  sink.write('last\n');
  expect(content()).toBe('');
  sink.flushSync();
  expect(content()).toBe('last\n');
});

test('what does not fit is dropped and counted', async () => {
  const sink = createLineSink(fd);
  const line = `${'x'.repeat(99_999)}\n`;
  for (let index = 0; index < 100; index += 1) sink.write(line);
  await vi.waitFor(() => expect(content()).toContain('log lines dropped'), { timeout: 10_000 });
  const dropped = content()
    .split('\n')
    .find((text) => text.startsWith('{'));
  const { count } = JSON.parse(dropped ?? '{}') as { count: number };
  expect(count).toBeGreaterThan(0);
  expect(
    content()
      .split('\n')
      .filter((text) => text.startsWith('x')),
  ).toHaveLength(100 - count);
});
