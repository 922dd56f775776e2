// The audit log on a disk that is full and to a reader that sleeps: no call waits, and what was lost is counted and said.

import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Audit, createAudit } from '../../src/telemetry/audit.ts';
import { waitFor } from '../harness/wait-for.ts';

/** More than is kept in memory and in a pipe. */
const RECORDS = 60_000;
const ENTRY = { event: 'tool_call', subject: 's'.repeat(200), tool: 'echo' } as const;
/** A write that waits for the reader never ends; anything shorter is a pause of this process. */
const LONGEST_CALL_MS = 2_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'audit-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The longest that one call took; other work of the process goes on between them. */
async function recordMany(audit: Audit): Promise<number> {
  let longest = 0;
  for (let n = 0; n < RECORDS; n += 1) {
    const before = performance.now();
    audit.record({ ...ENTRY, requestId: String(n) });
    longest = Math.max(longest, performance.now() - before);
    if (n % 1_000 === 0) await new Promise(setImmediate);
  }
  return longest;
}

test('a FIFO that nobody reads: calls go on, lines are lost, and the reader that wakes up is told how many', async () => {
  const file = join(folder, 'audit.fifo');
  execFileSync('/usr/bin/env', ['mkfifo', file]);
  // Keeps it open, so that it can be written to, and reads nothing.
  const reader = openSync(file, constants.O_RDWR | constants.O_NONBLOCK);
  const audit = createAudit({ file, process: 'sidecar-0' });
  try {
    expect(await recordMany(audit)).toBeLessThan(LONGEST_CALL_MS);
    const lost = audit.dropped();
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBeLessThan(RECORDS);

    let text = '';
    const chunk = Buffer.alloc(65_536);
    await waitFor(
      'the line about lost lines',
      () => {
        try {
          for (;;) text += chunk.toString('latin1', 0, readSync(reader, chunk));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
        }
        return text.includes('lines_lost') && text.endsWith('\n');
      },
      { timeoutMs: 50_000 },
    );
    const lines = text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.filter(({ event }) => event === 'tool_call')).toHaveLength(RECORDS - lost);
    expect(lines.find(({ event }) => event === 'lines_lost')).toMatchObject({ process: 'sidecar-0', count: lost });
  } finally {
    await audit.close();
    closeSync(reader);
  }
});

test('a full disk: calls go on, the reason is told, and the end of the process waits a second at most', async () => {
  const trouble = new Set<string | undefined>();
  const audit = createAudit({ file: '/dev/full', process: 'sidecar-0', onTrouble: ({ code }) => void trouble.add(code) });
  expect(await recordMany(audit)).toBeLessThan(LONGEST_CALL_MS);
  await waitFor('the failure', () => trouble.has('ENOSPC'));
  expect(audit.dropped()).toBeGreaterThan(0);
  const before = performance.now();
  await audit.close();
  expect(performance.now() - before).toBeLessThan(5_000);
});
