// The structured log: one JSON line per event, never a token.

import { type DestinationStream, type Logger, pino } from 'pino';
import { errorForLog } from './error-for-log.ts';

/** Fields that may carry a secret if somebody logs a whole object by mistake. */
const REDACTED = ['authorization', 'cookie', '*.authorization', '*.cookie', 'headers.authorization', 'headers.cookie', 'token', '*.token'];

export interface LogOptions {
  readonly level: string;
  /** Said in each line: which process it is. */
  readonly process: string;
  /** Where the lines go; one stream for all that writes to one place, so that no line cuts another. */
  readonly stream: DestinationStream;
}

export function createLogger({ level, process: name, stream }: LogOptions): Logger {
  const redact = { paths: REDACTED, censor: '[redacted]' };
  return pino({ level, base: { process: name }, redact, serializers: { err: errorForLog } }, stream);
}

/** The severity of a request line. */
const INFO = 30;

/**
 * Writes the lines of requests, in pino's format. Not through pino itself: with `redact` that costs three times as much as all else
 * that is done after a request, and the fields of these lines cannot hold a secret.
 */
export function createRequestLines({ level, process: name, stream }: LogOptions): (records: readonly object[]) => void {
  const threshold = pino.levels.values[level] ?? Number.POSITIVE_INFINITY;
  if (threshold > INFO) return () => {};
  const who = `"process":${JSON.stringify(name)},"msg":"request"`;
  return (records) => {
    const head = `{"level":${INFO},"time":${Date.now()},${who},`;
    let lines = '';
    for (const record of records) lines += `${head}${JSON.stringify(record).slice(1)}\n`;
    if (lines !== '') stream.write(lines);
  };
}
