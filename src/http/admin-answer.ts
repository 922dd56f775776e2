// What the admin address answers with: JSON, and problem details (RFC 9457) for what went wrong.

import { STATUS_CODES } from 'node:http';

export interface AdminAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Pieces are sent as they come. */
  readonly body: string | AsyncIterable<string>;
}

/** Names callers and sessions: kept by nobody on the way. */
const PRIVATE = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

export function json(status: number, value: unknown): AdminAnswer {
  return { status, headers: { 'content-type': 'application/json', ...PRIVATE }, body: JSON.stringify(value) };
}

/** Lines of text, for people. */
export function lines(body: AdminAnswer['body'], type = 'text/plain; charset=utf-8'): AdminAnswer {
  return { status: 200, headers: { 'content-type': type, ...PRIVATE }, body };
}

/** `detail` is a sentence for people. */
export function problem(status: number, detail: string, headers: Readonly<Record<string, string>> = {}): AdminAnswer {
  const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail });
  return { status, headers: { 'content-type': 'application/problem+json', ...PRIVATE, ...headers }, body };
}
