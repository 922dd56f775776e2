// What the journal gives back after restarts, torn lines, rewriting, and a disk that fails.

import { appendFileSync, chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { recordOf, sessionKey } from '../../test/fakes/sessions.ts';
import { eventually } from '../../test/harness/eventually.ts';
import { openJournal, readJournal } from './journal.ts';
import type { SessionRecord } from './store.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-'));
  file = join(folder, 'sub', 'sessions.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

const a = recordOf();
const b = recordOf({ key: sessionKey('b') });
const ended: SessionRecord = { ...a, end: 'ended' };
const lines = (): string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1);

test('no file is no records', async () => {
  expect(await readJournal(file)).toEqual([]);
});

test('the last line of each session counts, expired ones are left out', async () => {
  const journal = await openJournal(file, () => []);
  for (const record of [a, b, ended]) journal.append(record);
  journal.append(recordOf({ key: sessionKey('c'), expiresAt: 10 }));
  await journal.close();
  const read = await readJournal(file, 10);
  expect(read).toHaveLength(2);
  expect(read).toContainEqual(JSON.parse(JSON.stringify(ended)));
  expect(read).toContainEqual(JSON.parse(JSON.stringify(b)));
});

test('revocations are kept as long as an id may be as old as they are', async () => {
  const journal = await openJournal(file, () => [{ caller: 'ann', before: 100 }, a]);
  journal.append({ caller: 'bob', before: 100 });
  journal.append({ caller: 'ann', before: 200 });
  await journal.close();
  appendFileSync(file, '{"caller":"eve"}\n{"caller":1,"before":1}\n');
  const month = 30 * 24 * 3_600_000;
  const revocations = async (now: number) => (await readJournal(file, now)).filter((entry) => 'caller' in entry);
  expect(await revocations(100_000 + month - 1)).toEqual([
    { caller: 'ann', before: 200 },
    { caller: 'bob', before: 100 },
  ]);
  expect(await revocations(100_000 + month)).toEqual([{ caller: 'ann', before: 200 }]);
});

test('only the owner can read it: it holds what clients said of themselves', async () => {
  const journal = await openJournal(file, () => [a]);
  journal.append(b);
  await journal.close();
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('a last line that a power cut tore is skipped, and nothing after it is lost', async () => {
  const first = await openJournal(file, () => [a, b]);
  await first.close();
  appendFileSync(file, '{"key":"cut');
  const known = await readJournal(file);
  expect(known).toHaveLength(2);
  const second = await openJournal(file, () => known);
  second.append(ended);
  await second.close();
  expect(await readJournal(file)).toHaveLength(2);
  expect(lines()).toHaveLength(3);
});

test('lines that are no records are skipped', async () => {
  const journal = await openJournal(file, () => []);
  await journal.close();
  writeFileSync(file, ['null', '1', '[]', '{}', '', '{"key":1,"expiresAt":1}', JSON.stringify(a)].join('\n'));
  expect(await readJournal(file)).toHaveLength(1);
});

test('a new start leaves one line for each live record', async () => {
  const journal = await openJournal(file, () => [a, b]);
  expect(lines()).toHaveLength(2);
  await journal.close();
});

test('a file that is mostly out of date is rewritten while in use', async () => {
  const journal = await openJournal(file, () => [ended, b]);
  for (let n = 0; n < 20_100; n += 1) journal.append(n % 2 ? a : ended);
  journal.append(ended);
  await journal.close();
  expect(lines().length).toBeLessThan(10);
  expect(await readJournal(file)).toContainEqual(expect.objectContaining({ key: a.key, end: 'ended' }));
});

describe('large records', () => {
  const MIB = 1024 * 1024;
  const large = (name: string, initialize = 'x'.repeat(MIB)) => recordOf({ key: sessionKey(name), initialize });

  test('are written a few at a time: all of them in one text could be longer than a text may be', async () => {
    const onDisk: number[] = [];
    const noting = (record: SessionRecord) => ({
      ...record,
      toJSON() {
        onDisk.push(existsSync(`${file}.tmp`) ? statSync(`${file}.tmp`).size : 0);
        return record;
      },
    });
    const journal = await openJournal(file, () => ['a', 'b', 'c'].map((name) => noting(large(name))));
    await journal.close();
    expect(onDisk.map((size) => Math.floor(size / MIB))).toEqual([0, 1, 2]);
    expect((await readJournal(file)).map((entry) => 'key' in entry && entry.key)).toEqual(['a', 'b', 'c'].map(sessionKey));
  });

  test('make the file old sooner', async () => {
    const journal = await openJournal(file, () => [a]);
    const record = large('b');
    for (let n = 0; n < 40; n += 1) journal.append(record);
    await vi.waitFor(() => expect(statSync(file).size).toBeGreaterThan(40 * MIB), { timeout: 5_000 });
    for (let n = 0; n < 40; n += 1) journal.append(record);
    await journal.close();
    expect(journal.lost).toBe(0);
    expect(lines()).toHaveLength(1);
  });

  test('that wait for the disk are bounded together', async () => {
    const journal = await openJournal(file, () => []);
    const record = large('a');
    for (let n = 0; n < 70; n += 1) journal.append(record);
    journal.append(b);
    expect(journal.lost).toBe(7);
    await journal.close();
    expect(await readJournal(file)).toContainEqual(JSON.parse(JSON.stringify(b)));
  });
});

describe('a disk that fails', () => {
  /** As long as a folder stands in the file's place, nothing can be written. */
  const breakDisk = (): (() => void) => {
    renameSync(join(folder, 'sub'), join(folder, 'away'));
    writeFileSync(join(folder, 'sub'), '');
    return () => {
      rmSync(join(folder, 'sub'));
      renameSync(join(folder, 'away'), join(folder, 'sub'));
    };
  };

  test('costs lines, which are counted and told once, and the journal goes on when it is back', async () => {
    const onFailure = vi.fn<(error: unknown) => void>();
    const journal = await openJournal(file, () => [a, b], onFailure);
    const repair = breakDisk();
    journal.append(ended);
    await eventually(() => expect(journal.lost).toBe(1));
    journal.append(ended);
    await eventually(() => expect(journal.lost).toBe(2));
    expect(onFailure).toHaveBeenCalledTimes(1);
    repair();
    journal.append(b);
    await journal.close();
    expect(journal.lost).toBe(2);
    expect(await readJournal(file)).toHaveLength(2);
  });

  test('in the middle of a line does not cost the next one too', async () => {
    const journal = await openJournal(file, () => [a]);
    const repair = breakDisk();
    journal.append(ended);
    await eventually(() => expect(journal.lost).toBe(1));
    repair();
    appendFileSync(file, JSON.stringify(ended).slice(0, 40));
    journal.append(b);
    await journal.close();
    expect(await readJournal(file)).toHaveLength(2);
  });

  test('at the start is an error', async () => {
    writeFileSync(join(folder, 'sub'), '');
    await expect(openJournal(file, () => [])).rejects.toThrow('EEXIST');
    await expect(readJournal(file)).rejects.toThrow('ENOTDIR');
  });
});

test('a file that may not be read is an error, not an empty store', async () => {
  const journal = await openJournal(file, () => [a]);
  await journal.close();
  chmodSync(file, 0o000);
  if (process.getuid?.() === 0) return;
  await expect(readJournal(file)).rejects.toThrow('EACCES');
});
