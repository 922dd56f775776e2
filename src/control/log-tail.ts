// The end of a log file, and what is added to it from then on.

import { type FileHandle, open, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** However many lines are asked for: more than a screen needs, little enough to be kept in memory. */
export const MAX_TAIL_BYTES = 1_048_576;
const CHUNK_BYTES = 65_536;
const POLL_MS = 250;

export interface Tail {
  /** The last lines, each with its line feed but for one that is still being written. */
  readonly text: string;
  /** Where in the file the text ends. */
  readonly end: number;
}

/** Nothing has been written yet: no lines. A line that begins before `MAX_TAIL_BYTES` from the end is left out. */
export async function readTail(path: string, lines: number): Promise<Tail> {
  const file = await openOrNothing(path);
  if (!file) return { text: '', end: 0 };
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - MAX_TAIL_BYTES);
    const text = (await read(file, start, size - start)).toString();
    return { text: lastLines(start > 0 ? text.slice(text.indexOf('\n') + 1) : text, lines), end: size };
  } finally {
    await file.close();
  }
}

/**
 * What is written behind `from`, as it comes, until `signal` aborts: then it ends. A file that is moved aside, because it is full, is
 * read to its end, and followed by the one that takes its place.
 */
export async function* followFrom(path: string, from: number, signal: AbortSignal): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let at = from;
  let file = await openOrNothing(path);
  async function* rest(): AsyncGenerator<string> {
    while (file && !signal.aborted) {
      const chunk = await read(file, at, CHUNK_BYTES);
      if (chunk.length === 0) {
        if ((await file.stat()).size >= at) return;
        // It was emptied, or is another one by now.
        at = 0;
        continue;
      }
      at += chunk.length;
      yield decoder.decode(chunk, { stream: true });
    }
  }
  try {
    while (!signal.aborted) {
      yield* rest();
      if (file === undefined || (await isElsewhere(file, path))) {
        yield* rest();
        const next: FileHandle | undefined = await openOrNothing(path);
        if (next) {
          await file?.close();
          file = next;
          at = 0;
          continue;
        }
      }
      await delay(POLL_MS, undefined, { signal }).catch(() => {});
    }
  } finally {
    await file?.close();
  }
}

async function isElsewhere(file: FileHandle, path: string): Promise<boolean> {
  const [opened, named] = await Promise.all([file.stat(), stat(path).catch(() => undefined)]);
  return opened.ino !== named?.ino;
}

async function openOrNothing(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function read(file: FileHandle, from: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, from);
  return buffer.subarray(0, bytesRead);
}

function lastLines(text: string, count: number): string {
  let start = text.endsWith('\n') ? text.length - 1 : text.length;
  for (let left = count; left > 0; left -= 1) {
    const before = text.lastIndexOf('\n', start - 1);
    if (before < 0 || start === 0) return text;
    start = before;
  }
  return text.slice(start + 1);
}
