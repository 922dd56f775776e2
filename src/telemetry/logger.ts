// The structured log: one JSON line per event, never a token.

import { type DestinationStream, destination, type Logger, pino } from 'pino';

/** Fields that may carry a secret if somebody logs a whole object by mistake. */
const REDACTED = ['authorization', 'cookie', '*.authorization', '*.cookie', 'headers.authorization', 'headers.cookie', 'token', '*.token'];

/** Lines wait for at most this much before they are written together. */
const BUFFER_BYTES = 4096;

export interface LogOptions {
  readonly level: string;
  /** Said in each line: which process it is. */
  readonly process: string;
  /** Where the lines go; one stream for all that writes to one place, so that no line cuts another. */
  readonly stream: DestinationStream;
}

export function createLogger({ level, process: name, stream }: LogOptions): Logger {
  return pino({ level, base: { process: name }, redact: { paths: REDACTED, censor: '[redacted]' } }, stream);
}

/** stderr, in larger pieces: writing each line by itself would cost more than making it. Nothing waits for longer than half a second. */
export function bufferedStderr(): DestinationStream {
  return destination({ dest: 2, sync: false, minLength: BUFFER_BYTES, periodicFlush: 500 });
}

/** The severity of a request line. */
const INFO = 30;

/**
 * Writes the line of each request, in pino's format. Not through pino itself: with `redact` that costs three times as much as all else
 * that is done after a request, and the fields of this line cannot hold a secret.
 */
export function createRequestLine({ level, process: name, stream }: LogOptions): (fields: object) => void {
  const threshold = pino.levels.values[level] ?? Number.POSITIVE_INFINITY;
  if (threshold > INFO) return () => {};
  const who = `"process":${JSON.stringify(name)},"msg":"request"`;
  return (fields) => {
    stream.write(`{"level":${INFO},"time":${Date.now()},${who},${JSON.stringify(fields).slice(1)}\n`);
  };
}
