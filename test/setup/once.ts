// Lets one process at a time do an expensive piece of set-up, and tells the others when it is done.

import { mkdir, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 200;
const LONGEST_WAIT_MS = 600_000;
/** The holder was killed: nothing of ours takes longer. */
const ABANDONED_AFTER_MS = 300_000;

/**
 * Runs `work` unless `isDone` says that it is not needed (any more), with the folder `lock` as the mark of who is at it.
 *
 * @throws Error after 10 minutes of waiting for another process
 */
export async function once({ lock, isDone, work }: { lock: string; isDone: () => boolean; work: () => Promise<void> }): Promise<void> {
  const giveUpAt = Date.now() + LONGEST_WAIT_MS;
  while (!isDone()) {
    if (await take(lock)) {
      try {
        if (!isDone()) await work();
        return;
      } finally {
        await rm(lock, { recursive: true, force: true });
      }
    }
    if (Date.now() > giveUpAt) throw new Error(`another process holds ${lock}; delete that folder if none does`);
    await sleep(POLL_MS);
  }
}

async function take(lock: string): Promise<boolean> {
  await mkdir(dirname(lock), { recursive: true });
  try {
    await mkdir(lock);
    return true;
  } catch {
    const made = await stat(lock).catch(() => undefined);
    if (made !== undefined && Date.now() - made.mtimeMs > ABANDONED_AFTER_MS) await rm(lock, { recursive: true, force: true });
    return false;
  }
}
