// How a fault of a token is put into words for the log.

import type { TokenFault, TokenFaultCode } from './identity.ts';

/** Of a text that a stranger may have written. */
const MAX_QUOTED = 200;

export function tokenFault(code: TokenFaultCode, detail: string): TokenFault {
  return { kind: 'fault', code, detail };
}

/** In quotes and on one line, so that spaces and slashes at the end can be seen; cut when it is long. */
export function quoted(value: unknown): string {
  if (typeof value !== 'string') return value === undefined ? 'absent' : 'not a text';
  return value.length > MAX_QUOTED ? `${JSON.stringify(value.slice(0, MAX_QUOTED))}…` : JSON.stringify(value);
}
