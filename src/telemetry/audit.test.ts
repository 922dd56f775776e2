// Audit lines reach their file whole, by whichever process, wherever it was moved, and what was lost is said.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { eventually } from '../../test/harness/eventually.ts';
import { type Audit, createAudit } from './audit.ts';

let folder: string;
let file: string;
const audits: Audit[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'audit-'));
  file = join(folder, 'logs', 'audit.log');
});

afterEach(async () => {
  await Promise.all(audits.splice(0).map((audit) => audit.close()));
  rmSync(folder, { recursive: true });
});

function open(options: Partial<Parameters<typeof createAudit>[0]> = {}): Audit {
  const audit = createAudit({ file, process: 'sidecar-0', ...options });
  audits.push(audit);
  return audit;
}

function lines(from = file): Record<string, unknown>[] {
  if (!existsSync(from)) return [];
  return readFileSync(from, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('nothing is asked for: nothing is written', async () => {
  const audit = open({ file: undefined });
  expect(audit.on).toBe(false);
  audit.record({ event: 'admin' });
  audit.decided({ requestId: 'r', issuer: undefined, facts: { reason: 'x' }, session: undefined, messages: [], body: undefined });
  await audit.close();
  expect(audit.dropped()).toBe(0);
});

test('lines of another process are passed on as they are', async () => {
  const audit = open();
  audit.pass('{"event":"admin"}\n{"event":"refusal"}\n');
  await audit.close();
  expect(readFileSync(file, 'utf8')).toBe('{"event":"admin"}\n{"event":"refusal"}\n');
});

test('lines come in order, with their time, in a file that others cannot read', async () => {
  const audit = open({ now: () => Date.UTC(2026, 6, 28) });
  for (let n = 0; n < 3_000; n += 1) audit.record({ event: 'tool_call', requestId: String(n) });
  await vi.waitFor(() => expect(lines()).toHaveLength(3_000), { timeout: 5_000 });
  expect(lines().map(({ requestId }) => Number(requestId))).toEqual(Array.from({ length: 3_000 }, (_, n) => n));
  expect(lines()[0]).toMatchObject({ time: '2026-07-28T00:00:00.000Z' });
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('at the end nothing waits', async () => {
  const audit = open();
  audit.record({ event: 'admin', action: 'a' });
  expect(existsSync(file)).toBe(false);
  await audit.close();
  expect(lines()).toHaveLength(1);
});

test('writers of one file do not cut each other’s lines', async () => {
  const writers = [open(), open(), open()];
  const long = 'x'.repeat(5_000);
  for (let n = 0; n < 300; n += 1)
    for (const [who, writer] of writers.entries()) writer.record({ event: 'admin', target: long, action: `${who}:${n}` });
  await Promise.all(writers.map((writer) => writer.close()));
  expect(lines().map(({ action }) => action)).toHaveLength(900);
  expect(new Set(lines().map(({ action }) => action)).size).toBe(900);
});

test('after the file was moved away, lines go to a new one', async () => {
  const audit = open();
  audit.record({ event: 'admin', action: 'before' });
  await eventually(() => expect(lines()).toHaveLength(1));
  const moved = join(folder, 'audit.log.1');
  renameSync(file, moved);
  await vi.waitFor(
    () => {
      audit.record({ event: 'admin', action: 'after' });
      expect(lines().length).toBeGreaterThan(0);
    },
    { timeout: 5_000, interval: 100 },
  );
  await audit.close();
  expect(lines(moved)[0]).toMatchObject({ action: 'before' });
});

test('what does not fit is lost, counted, and said in a line; what keeps it from being written is told', async () => {
  const trouble: string[] = [];
  // A folder in the file's place: nothing can be written until it is gone.
  mkdirSync(file, { recursive: true });
  const audit = open({ onTrouble: ({ code }) => void trouble.push(code ?? '') });
  const target = 'x'.repeat(100_000);
  for (let n = 0; n < 200; n += 1) audit.record({ event: 'admin', target });
  const lost = audit.dropped();
  expect(lost).toBeGreaterThan(100);
  await vi.waitFor(() => expect(trouble).toContain('EISDIR'), { timeout: 5_000 });
  rmSync(file, { recursive: true });
  await vi.waitFor(() => expect(lines().at(-1)).toMatchObject({ event: 'lines_lost', process: 'sidecar-0', count: lost }), {
    timeout: 5_000,
  });
  expect(lines()).toHaveLength(200 - lost + 1);
});
