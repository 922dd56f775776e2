// What the admin address answers with: JSON, and problem details (RFC 9457) for what went wrong.

import { STATUS_CODES } from 'node:http';

export interface AdminAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Names callers and sessions: kept by nobody on the way. */
const PRIVATE = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

export function json(status: number, value: unknown): AdminAnswer {
  return { status, headers: { 'content-type': 'application/json', ...PRIVATE }, body: JSON.stringify(value) };
}

/** `detail` is a sentence for people. */
export function problem(status: number, detail: string, headers: Readonly<Record<string, string>> = {}): AdminAnswer {
  const body = JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, detail });
  return { status, headers: { 'content-type': 'application/problem+json', ...PRIVATE, ...headers }, body };
}
