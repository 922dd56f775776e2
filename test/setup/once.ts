// Lets one process at a time do an expensive piece of set-up, and tells the others when it is done.

import { rmSync } from 'node:fs';
import { mkdir, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 200;
const LONGEST_WAIT_MS = 600_000;
/** The holder was killed: it would have touched its mark. */
const ABANDONED_AFTER_MS = 300_000;
const TOUCH_MS = 30_000;

export interface OnceOptions {
  readonly lock: string;
  readonly isDone: () => boolean;
  readonly work: () => Promise<void>;
  readonly longestWaitMs?: number;
}

/**
 * Runs `work` unless `isDone` says that it is not needed (any more), with the folder `lock` as the mark of who is at it.
 *
 * @throws Error after 10 minutes (or `longestWaitMs`) of waiting for another process
 */
export async function once({ lock, isDone, work, longestWaitMs = LONGEST_WAIT_MS }: OnceOptions): Promise<void> {
  const giveUpAt = Date.now() + longestWaitMs;
  while (!isDone()) {
    if (await take(lock)) {
      const touch = setInterval(() => void utimes(lock, new Date(), new Date()).catch(() => {}), TOUCH_MS);
      // Whoever ends in the middle of it keeps nobody waiting.
      const release = () => rmSync(lock, { recursive: true, force: true });
      process.once('exit', release);
      try {
        if (!isDone()) await work();
        return;
      } finally {
        clearInterval(touch);
        process.off('exit', release);
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
