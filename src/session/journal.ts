// The session records and revocations on disk: one JSON line per change, rewritten when most lines are out of date.

import { createReadStream } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { StoredEntry } from './memory-store.ts';
import { REVOCATION_KEPT_MS } from './store.ts';

/** A file with this many lines more than live records is rewritten. */
const COMPACT_SLACK = 20_000;
/** Changes of so long are written together: opening the file for each would cost more than all else that a new session costs. */
const GATHER_MS = 10;
/** Changes that wait for the disk; beyond it the oldest waiting line is the loss, and it is counted. */
const MAX_PENDING = 50_000;

export interface Journal {
  append(entry: StoredEntry): void;
  /** Lines given up because the disk was too slow or full. */
  readonly lost: number;
  close(): Promise<void>;
}

/** Reads the live records and revocations. Lines that cannot be read (a torn last line after a power cut) are skipped. */
export async function readJournal(file: string, now: number = Date.now()): Promise<StoredEntry[]> {
  const entries = new Map<string, StoredEntry>();
  try {
    for await (const line of createInterface({ input: createReadStream(file) })) {
      const entry = parseLine(line);
      if (entry) entries.set('caller' in entry ? `caller ${entry.caller}` : entry.key, entry);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return [...entries.values()].filter((entry) => ('caller' in entry ? entry.before * 1000 + REVOCATION_KEPT_MS : entry.expiresAt) > now);
}

/**
 * Opens the file for appending, after rewriting it with `live()` alone.
 * @param onFailure called when the disk begins to fail, not for each line that is lost then.
 */
export async function openJournal(
  file: string,
  live: () => Iterable<StoredEntry>,
  onFailure: (error: unknown) => void = () => {},
): Promise<Journal> {
  await mkdir(dirname(file), { recursive: true });
  let pending: string[] = [];
  let writing: Promise<void> | undefined;
  let lost = 0;
  let lines = 0;
  let liveLines = 0;
  let failing = false;

  const write = async (path: string, flags: 'a' | 'w', text: string): Promise<void> => {
    const handle = await open(path, flags, 0o600);
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
  };

  const rewrite = async (): Promise<void> => {
    const temporary = `${file}.tmp`;
    const all = [...live()];
    await write(temporary, 'w', all.map(lineOf).join(''));
    await rename(temporary, file);
    lines = all.length;
    liveLines = all.length;
  };

  const drain = async (): Promise<void> => {
    while (pending.length > 0) {
      await delay(GATHER_MS);
      const batch = pending;
      pending = [];
      try {
        // A write that failed may have left half a line, which would swallow the next one.
        await write(file, 'a', (failing ? '\n' : '') + batch.join(''));
        failing = false;
        lines += batch.length;
      } catch (error) {
        lost += batch.length;
        if (!failing) onFailure(error);
        failing = true;
      }
      if (!failing && lines > liveLines + COMPACT_SLACK) await rewrite().catch(onFailure);
    }
    writing = undefined;
  };

  await rewrite();
  return {
    append(entry) {
      if (pending.length >= MAX_PENDING) {
        pending.shift();
        lost += 1;
      }
      pending.push(lineOf(entry));
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

function lineOf(entry: StoredEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

function parseLine(line: string): StoredEntry | undefined {
  try {
    const entry = JSON.parse(line) as StoredEntry;
    if ('caller' in entry) return typeof entry.caller === 'string' && typeof entry.before === 'number' ? entry : undefined;
    return typeof entry.key === 'string' && typeof entry.expiresAt === 'number' ? entry : undefined;
  } catch {
    return undefined;
  }
}
