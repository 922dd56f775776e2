// Lines on their way out of the process: gathered, written together, never waited for; what does not fit is dropped and counted.

/** Lines wait at most this long, so that many go in one write. */
const GATHER_MS = 200;
/** Or until there is so much of them. */
const ENOUGH_CHARS = 32_768;
/** A pipe whose reader is slow says EAGAIN. */
const RETRY_MS = 20;
/** Anything else (a full disk, a folder that may not be written to) takes longer to mend. */
const TROUBLE_RETRY_MS = 500;

export interface LineTarget {
  /** Tells how many bytes have been written for good: the others come again. Rejects when none were. */
  append(bytes: Buffer): Promise<number>;
}

export interface LineQueueOptions {
  readonly target: LineTarget;
  /** A target that is this far behind loses lines: a slow disk must not hold requests or memory. */
  readonly maxPendingChars: number;
  /** The line (with its line feed) that says how many were lost. */
  readonly dropped: (count: number) => string;
  /** What keeps lines from being written, except that a pipe is full; comes again with each attempt. */
  readonly onTrouble?: (error: NodeJS.ErrnoException) => void;
}

export interface LineQueue {
  /** One or more whole lines, each with its line feed. */
  write(lines: string): void;
  /** Lines lost so far. */
  readonly dropped: () => number;
  /** Resolves when all is written, or the time is over; `false` then. */
  drain(timeoutMs: number): Promise<boolean>;
  /** Takes what is left, to be written by the caller. */
  take(): Buffer;
}

export function createLineQueue({ target, maxPendingChars, dropped, onTrouble }: LineQueueOptions): LineQueue {
  let pending = '';
  let lost = 0;
  let untold = 0;
  let timer: NodeJS.Timeout | undefined;
  let writing: Buffer | undefined;
  let drained: (() => void) | undefined;

  const later = (ms: number): void => {
    timer ??= setTimeout(pump, ms).unref();
  };

  const pump = (): void => {
    timer = undefined;
    if (!writing) {
      if (pending === '') return;
      if (untold > 0) pending += dropped(untold);
      untold = 0;
      writing = Buffer.from(pending);
      pending = '';
    }
    target.append(writing).then(advance, retry);
  };

  const advance = (written: number): void => {
    if (!writing) return;
    writing = writing.length > written ? writing.subarray(written) : undefined;
    if (writing || (drained && pending !== '')) pump();
    else if (pending !== '') later(GATHER_MS);
    else drained?.();
  };

  const retry = (error: NodeJS.ErrnoException): void => {
    const full = error.code === 'EAGAIN';
    if (!full) onTrouble?.(error);
    later(full ? RETRY_MS : TROUBLE_RETRY_MS);
  };

  return {
    write(lines) {
      if (pending.length + lines.length > maxPendingChars) {
        const count = countLines(lines);
        untold += count;
        lost += count;
        return;
      }
      pending += lines;
      if (writing) return;
      if (pending.length >= ENOUGH_CHARS) {
        clearTimeout(timer);
        pump();
      } else timer ??= setTimeout(pump, GATHER_MS).unref();
    },
    dropped: () => lost,
    drain(timeoutMs) {
      if (!writing && pending === '') return Promise.resolve(true);
      return new Promise((resolve) => {
        const limit = setTimeout(() => {
          drained = undefined;
          resolve(false);
        }, timeoutMs);
        drained = () => {
          clearTimeout(limit);
          drained = undefined;
          resolve(true);
        };
        if (writing) return;
        clearTimeout(timer);
        pump();
      });
    },
    take() {
      clearTimeout(timer);
      const rest = Buffer.concat([writing ?? Buffer.alloc(0), Buffer.from(pending)]);
      writing = undefined;
      pending = '';
      return rest;
    },
  };
}

function countLines(lines: string): number {
  let count = 0;
  for (let at = lines.indexOf('\n'); at >= 0; at = lines.indexOf('\n', at + 1)) count += 1;
  return count;
}
