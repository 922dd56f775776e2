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
  /** Where the lines go; stderr unless told. */
  readonly stream?: DestinationStream;
}

export function createLogger({ level, process: name, stream = bufferedStderr() }: LogOptions): Logger {
  return pino({ level, base: { process: name }, redact: { paths: REDACTED, censor: '[redacted]' } }, stream);
}

/** Writing each line by itself would cost more than making it; nothing waits for longer than half a second. */
function bufferedStderr(): DestinationStream {
  return destination({ dest: 2, sync: false, minLength: BUFFER_BYTES, periodicFlush: 500 });
}
