// A temporary folder for one test file, mostly for the journals of its servers.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JournalEntry, readJournal } from '../servers/journal.ts';

export interface Scratch {
  readonly folder: string;
  /** The path of a journal by name, for `COUNTER_JOURNAL`. */
  journalPath(name: string): string;
  journal(name: string): JournalEntry[];
  remove(): void;
}

/** Makes a folder; the caller removes it. */
export function createScratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'proof-'));
  const journalPath = (name: string): string => join(folder, `${name}.journal`);
  return {
    folder,
    journalPath,
    journal: (name) => readJournal(journalPath(name)),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
