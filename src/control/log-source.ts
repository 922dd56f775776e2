// Where an instance's output can be read: a file of this machine, or whatever keeps it elsewhere.

import { followFrom, readTail } from './log-tail.ts';

export interface LogWish {
  /** How many of the last lines. */
  readonly lines: number;
  /** Whether to go on with what is written from now on, until `signal` aborts. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** Text when nothing is followed. */
export type ReadLog = (wish: LogWish) => Promise<string | AsyncIterable<string>>;

export function logFileOf(path: string): ReadLog {
  return async ({ lines, follow, signal }) => {
    const { text, end } = await readTail(path, lines);
    return follow ? following(path, text, end, signal) : text;
  };
}

async function* following(path: string, text: string, end: number, signal: AbortSignal): AsyncGenerator<string> {
  if (text !== '') yield text;
  yield* followFrom(path, end, signal);
}
