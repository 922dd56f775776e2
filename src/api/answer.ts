// What the REST interface answers with: JSON, and problem details (RFC 9457) for what went wrong.

import { STATUS_CODES } from 'node:http';

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Pieces are sent as they come. */
  readonly body: string | AsyncIterable<string>;
}

/** Names callers and sessions: kept by nobody on the way. */
const PRIVATE = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): ApiAnswer {
  return { status, headers: { 'content-type': 'application/json', ...PRIVATE, ...headers }, body: JSON.stringify(value) };
}

/** Lines of text, for people. */
export function lines(body: ApiAnswer['body'], type = 'text/plain; charset=utf-8'): ApiAnswer {
  return { status: 200, headers: { 'content-type': type, ...PRIVATE }, body };
}

/** `detail` is a sentence for people; `code` is a word for programs, `errors` tells which fields are wrong. */
export function problem(
  status: number,
  detail: string,
  headers: Readonly<Record<string, string>> = {},
  more: { readonly code?: string; readonly errors?: readonly { readonly field: string; readonly message: string }[] } = {},
): ApiAnswer {
  const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail, ...more });
  return { status, headers: { 'content-type': 'application/problem+json', ...PRIVATE, ...headers }, body };
}

export const empty = (status: number): ApiAnswer => ({ status, headers: PRIVATE, body: '' });
