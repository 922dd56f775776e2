// Log lines on their way to a file descriptor: gathered, written together, never waited for.

import { write, writeSync } from 'node:fs';
import { createLineQueue, type LineQueueOptions, type LineTarget } from './line-queue.ts';

const MAX_PENDING_CHARS = 4 * 1024 * 1024;

export interface LineSink {
  /** One or more whole lines, each with its line feed. */
  write(lines: string): void;
  /** Writes what is left, at the end of the process. */
  flushSync(): void;
}

export function createLineSink(fd: number): LineSink {
  const queue = createLineQueue({ target: descriptorTarget(fd), maxPendingChars: MAX_PENDING_CHARS, dropped: lostLines });
  return {
    write: queue.write,
    flushSync() {
      try {
        const rest = queue.take();
        for (let at = 0; at < rest.length; ) at += writeSync(fd, rest, at);
      } catch {
        // The reader is gone: so are the last lines.
      }
    },
  };
}

/** An open descriptor that nobody else writes to, so that a line that was cut is simply continued. */
export function descriptorTarget(fd: number): LineTarget {
  return {
    append: (bytes) =>
      new Promise((resolve, reject) => {
        write(fd, bytes, (error, written) => (error ? reject(error) : resolve(written)));
      }),
  };
}

const lostLines: LineQueueOptions['dropped'] = (count) => `{"level":40,"time":${Date.now()},"msg":"log lines dropped","count":${count}}\n`;
