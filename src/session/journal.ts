// The session records on disk: one JSON line per change, rewritten when most lines are out of date.

import { createReadStream } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import type { SessionKey } from '../core/ids.ts';
import type { SessionRecord } from './store.ts';

/** A file with this many lines more than live records is rewritten. */
const COMPACT_SLACK = 20_000;
/** Changes that wait for the disk; beyond it the oldest waiting line is the loss, and it is counted. */
const MAX_PENDING = 50_000;

export interface Journal {
  append(record: SessionRecord): void;
  /** Lines given up because the disk was too slow or full. */
  readonly lost: number;
  close(): Promise<void>;
}

/** Reads the live records. Lines that cannot be read (a torn last line after a power cut) are skipped. */
export async function readJournal(file: string, now: number = Date.now()): Promise<SessionRecord[]> {
  const records = new Map<SessionKey, SessionRecord>();
  try {
    for await (const line of createInterface({ input: createReadStream(file) })) {
      const record = parseLine(line);
      if (record) records.set(record.key, record);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return [...records.values()].filter((record) => record.expiresAt > now);
}

/** Opens the file for appending, after rewriting it with `live()` alone. */
export async function openJournal(file: string, live: () => Iterable<SessionRecord>): Promise<Journal> {
  await mkdir(dirname(file), { recursive: true });
  let pending: string[] = [];
  let writing: Promise<void> | undefined;
  let lost = 0;
  let lines = 0;
  let liveLines = 0;

  const rewrite = async (): Promise<void> => {
    const temporary = `${file}.tmp`;
    const handle = await open(temporary, 'w', 0o600);
    const all = [...live()];
    await handle.writeFile(all.map(lineOf).join(''));
    await handle.close();
    await rename(temporary, file);
    lines = all.length;
    liveLines = all.length;
  };

  const drain = async (): Promise<void> => {
    while (pending.length > 0) {
      const batch = pending;
      pending = [];
      try {
        const handle = await open(file, 'a', 0o600);
        await handle.appendFile(batch.join(''));
        await handle.close();
        lines += batch.length;
        if (lines > liveLines + COMPACT_SLACK) await rewrite();
      } catch {
        lost += batch.length;
      }
    }
    writing = undefined;
  };

  await rewrite();
  return {
    append(record) {
      if (pending.length >= MAX_PENDING) {
        pending.shift();
        lost += 1;
      }
      pending.push(lineOf(record));
      writing ??= drain();
    },
    get lost() {
      return lost;
    },
    async close() {
      while (writing) await writing;
    },
  };
}

function lineOf(record: SessionRecord): string {
  return `${JSON.stringify(record)}\n`;
}

function parseLine(line: string): SessionRecord | undefined {
  try {
    const record = JSON.parse(line) as SessionRecord;
    return typeof record.key === 'string' && typeof record.expiresAt === 'number' ? record : undefined;
  } catch {
    return undefined;
  }
}
