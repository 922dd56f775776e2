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
/** Or with so many characters more: a line may have more than 100,000. */
const COMPACT_SLACK_CHARS = 64 * 1024 * 1024;
/** What is written at once. All records in one text could be longer than a text may be, and the supervisor would never start again. */
const CHUNK_CHARS = 1024 * 1024;
/** Changes of so long are written together: opening the file for each would cost more than all else that a new session costs. */
const GATHER_MS = 10;
/** Changes that wait for the disk; beyond it the oldest waiting line is the loss, and it is counted. */
const MAX_PENDING = 50_000;
const MAX_PENDING_CHARS = 64 * 1024 * 1024;

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
 * Opens the file for appending, after rewriting it with `entries()` alone.
 * @param onFailure called when the disk begins to fail, not for each line that is lost then.
 */
export async function openJournal(
  file: string,
  entries: () => Iterable<StoredEntry>,
  onFailure: (error: unknown) => void = () => {},
): Promise<Journal> {
  await mkdir(dirname(file), { recursive: true });
  let pending: string[] = [];
  let pendingChars = 0;
  let writing: Promise<void> | undefined;
  let lost = 0;
  /** What the file holds now, and what it held when it was rewritten. */
  let all: Written = { lines: 0, chars: 0 };
  let live: Written = all;
  let failing = false;

  const rewrite = async (): Promise<void> => {
    const temporary = `${file}.tmp`;
    // As it is now: what changes while it is written is appended afterwards.
    const written = await writeLines(temporary, 'w', linesOf([...entries()]));
    await rename(temporary, file);
    live = written;
    all = written;
  };

  const drain = async (): Promise<void> => {
    while (pending.length > 0) {
      await delay(GATHER_MS);
      const batch = pending;
      pending = [];
      pendingChars = 0;
      try {
        // A write that failed may have left half a line, which would swallow the next one.
        const { lines, chars } = await writeLines(file, 'a', failing ? ['\n', ...batch] : batch);
        failing = false;
        all = { lines: all.lines + lines, chars: all.chars + chars };
      } catch (error) {
        lost += batch.length;
        if (!failing) onFailure(error);
        failing = true;
      }
      if (!failing && (all.lines > live.lines + COMPACT_SLACK || all.chars > live.chars + COMPACT_SLACK_CHARS))
        await rewrite().catch(onFailure);
    }
    writing = undefined;
  };

  await rewrite();
  return {
    append(entry) {
      const line = lineOf(entry);
      while (pending.length >= MAX_PENDING || (pending.length > 0 && pendingChars + line.length > MAX_PENDING_CHARS)) {
        pendingChars -= pending.shift()?.length ?? 0;
        lost += 1;
      }
      pending.push(line);
      pendingChars += line.length;
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

interface Written {
  readonly lines: number;
  readonly chars: number;
}

/** In chunks of bounded size, each made when the one before is written. */
async function writeLines(path: string, flags: 'a' | 'w', lines: Iterable<string>): Promise<Written> {
  const handle = await open(path, flags, 0o600);
  const written = { lines: 0, chars: 0 };
  try {
    let chunk = '';
    for (const line of lines) {
      chunk += line;
      written.lines += 1;
      written.chars += line.length;
      if (chunk.length < CHUNK_CHARS) continue;
      await handle.writeFile(chunk);
      chunk = '';
    }
    await handle.writeFile(chunk);
  } finally {
    await handle.close();
  }
  return written;
}

function* linesOf(entries: readonly StoredEntry[]): Generator<string> {
  for (const entry of entries) yield lineOf(entry);
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
