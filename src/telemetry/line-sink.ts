// Log lines on their way to a file descriptor: gathered, written together, never waited for.

import { write, writeSync } from 'node:fs';

/** Lines wait at most this long, so that many go in one write. */
const GATHER_MS = 200;
/** Or until there is so much of them. */
const ENOUGH_CHARS = 32_768;
/** A reader that is this far behind loses lines; how many is said when it catches up. A slow disk must not hold requests or memory. */
const MAX_PENDING_CHARS = 4 * 1024 * 1024;
const RETRY_MS = 20;

export interface LineSink {
  /** One or more whole lines, each with its line feed. */
  write(lines: string): void;
  /** Writes what is left, at the end of the process. */
  flushSync(): void;
}

export function createLineSink(fd: number): LineSink {
  let pending = '';
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  let writing: Buffer | undefined;

  const advance = (written: number): void => {
    if (!writing) return;
    writing = writing.length > written ? writing.subarray(written) : undefined;
  };

  const pump = (): void => {
    timer = undefined;
    if (!writing) {
      if (pending === '') return;
      if (dropped > 0) pending += `{"level":40,"time":${Date.now()},"msg":"log lines dropped","count":${dropped}}\n`;
      dropped = 0;
      writing = Buffer.from(pending);
      pending = '';
    }
    write(fd, writing, (error, written) => {
      advance(written ?? 0);
      // A pipe that is full says EAGAIN. Whatever it says: there is nobody else to tell.
      if (error) timer ??= setTimeout(pump, RETRY_MS).unref();
      else if (writing) pump();
      else if (pending !== '') timer ??= setTimeout(pump, GATHER_MS).unref();
    });
  };

  return {
    write(lines) {
      if (pending.length + lines.length > MAX_PENDING_CHARS) {
        dropped += 1;
        return;
      }
      pending += lines;
      if (writing) return;
      if (pending.length >= ENOUGH_CHARS) {
        clearTimeout(timer);
        pump();
      } else timer ??= setTimeout(pump, GATHER_MS).unref();
    },
    flushSync() {
      clearTimeout(timer);
      try {
        const rest = Buffer.concat([writing ?? Buffer.alloc(0), Buffer.from(pending)]);
        for (let at = 0; at < rest.length; ) at += writeSync(fd, rest, at);
      } catch {
        // The reader is gone: so are the last lines.
      }
      writing = undefined;
      pending = '';
    },
  };
}
