// The journal of a test server: one JSON line for everything it really processed, written before the answer leaves.

import { openSync, readFileSync, writeSync } from 'node:fs';

/** One line of the journal. `message` is a JSON-RPC message that reached the server's session (or, stateless, the server). */
export interface JournalEntry {
  readonly event: 'started' | 'opened' | 'message' | 'ended' | 'forgot' | 'stream' | 'http';
  readonly pid: number;
  readonly at: number;
  /** The server's own session id. */
  readonly session?: string;
  readonly method?: string;
  readonly id?: string | number;
  readonly tool?: string;
  /** `arguments.tag` of a tool call: how a test finds its own request again. */
  readonly tag?: string;
  readonly params?: unknown;
  readonly count?: number;
}

/** A writer that appends synchronously, so that a kill -9 loses no line of what was processed. Without a path it does nothing. */
export function createJournal(path: string | undefined): (entry: Omit<JournalEntry, 'pid' | 'at'>) => void {
  if (path === undefined || path === '') return () => {};
  const file = openSync(path, 'a');
  return (entry) => void writeSync(file, `${JSON.stringify({ ...entry, pid: process.pid, at: Date.now() })}\n`);
}

/** @returns all complete lines of a journal; none when the file does not exist yet. */
export function readJournal(path: string): JournalEntry[] {
  let content: string;
  try {
    content = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return content
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as JournalEntry);
}
