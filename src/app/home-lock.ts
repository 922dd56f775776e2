// One gateway at a time in a home: a file that names its owner, taken in one step, and taken over when the owner is gone.

import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { processStart } from '../runtime/local/process-start.ts';

/** Each try ends with somebody's lock, or finds that one has gone: more would mean that others come and go all the time. */
const MAX_TRIES = 20;

/** @returns what gives it back. @throws OwnedBy when a living process has it. */
export async function lockHome(file: string, pid = process.pid): Promise<() => Promise<void>> {
  const own = `${pid} ${(await processStart(pid)) ?? ''}\n`;
  const written = `${file}.${pid}`;
  await writeFile(written, own, { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
      // A link appears with its content, and only where there is none: of two who try, one succeeds.
      if (await linked(written, file)) return () => release(file, own);
      const found = await read(file);
      if (found === undefined) continue;
      const owner = await livingOwner(found);
      if (owner === pid) return () => release(file, own);
      if (owner !== undefined) throw new OwnedBy(owner);
      await takeAway(file, found, `${written}.old`);
    }
  } finally {
    await rm(written, { force: true });
  }
  throw new Error(`${file} cannot be locked: others come and go`);
}

export class OwnedBy extends Error {
  readonly pid: number;

  constructor(pid: number) {
    super(`process ${pid} has it`);
    this.pid = pid;
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Another one may have done so already, and have locked it since: that lock is put back. */
async function takeAway(file: string, judged: string, aside: string): Promise<void> {
  await rename(file, aside).catch(() => {});
  const taken = await read(aside);
  if (taken !== undefined && taken !== judged) await linked(aside, file);
  await rm(aside, { force: true });
}

async function release(file: string, own: string): Promise<void> {
  if ((await read(file)) === own) await rm(file, { force: true });
}

async function livingOwner(text: string): Promise<number | undefined> {
  const [, pid = '', start = ''] = /^(\d+) (.*)\n$/.exec(text) ?? [];
  return pid !== '' && (await processStart(Number(pid))) === start ? Number(pid) : undefined;
}

const read = (file: string): Promise<string | undefined> => readFile(file, 'utf8').catch(() => undefined);
