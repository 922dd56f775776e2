// The bridge's own answers: the same statuses, codes and words as the reference server's.

import type { ServerResponse } from 'node:http';

/** A refusal. `id` is a JSON-RPC id as it was written, `null` when there is none to echo. */
export interface Refusal {
  readonly status: number;
  readonly code: number;
  readonly message: string;
  readonly id?: string | undefined;
  readonly headers?: Record<string, string>;
}

/** A JSON-RPC error response as bytes; the id goes in as it was written, so that integers beyond 2^53 survive. */
export function errorMessage({ code, message, id }: Pick<Refusal, 'code' | 'message' | 'id'>): Buffer {
  return Buffer.from(`{"jsonrpc":"2.0","id":${id ?? 'null'},"error":{"code":${code},"message":${JSON.stringify(message)}}}`);
}

/** Answers a request with a refusal. */
export function refuse(response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = errorMessage(refusal);
  response.writeHead(refusal.status, { 'content-type': 'application/json', 'content-length': body.length, ...refusal.headers });
  response.end(body);
}

export const sessionNotFound: Refusal = { status: 404, code: -32001, message: 'Session not found' };
export const sessionMissing: Refusal = { status: 400, code: -32000, message: 'Bad Request: Mcp-Session-Id header is required' };
export const notAcceptablePost: Refusal = {
  status: 406,
  code: -32000,
  message: 'Not Acceptable: Client must accept both application/json and text/event-stream',
};
export const notAcceptableGet: Refusal = { status: 406, code: -32000, message: 'Not Acceptable: Client must accept text/event-stream' };
export const unsupportedMedia: Refusal = {
  status: 415,
  code: -32000,
  message: 'Unsupported Media Type: Content-Type must be application/json',
};
export const methodNotAllowed: Refusal = {
  status: 405,
  code: -32000,
  message: 'Method not allowed.',
  headers: { allow: 'GET, POST, DELETE' },
};
export const secondStream: Refusal = { status: 409, code: -32000, message: 'Conflict: Only one SSE stream is allowed per session' };
export const notJson: Refusal = { status: 400, code: -32700, message: 'Parse error: Invalid JSON' };
export const notRpc: Refusal = { status: 400, code: -32700, message: 'Parse error: Invalid JSON-RPC message' };
export const alreadyInitialized: Refusal = { status: 400, code: -32600, message: 'Invalid Request: Server already initialized' };
export const initializeAlone: Refusal = {
  status: 400,
  code: -32600,
  message: 'Invalid Request: Only one initialization request is allowed',
};
export const idInUse: Refusal = { status: 400, code: -32600, message: 'Invalid Request: A request with this id is still in progress' };
export const tooManySessions: Refusal = {
  status: 503,
  code: -32000,
  message: 'Service Unavailable: Too many sessions',
  headers: { 'retry-after': '10' },
};
export const tooBusy: Refusal = {
  status: 503,
  code: -32000,
  message: 'Service Unavailable: Too many requests of this session are in progress',
  headers: { 'retry-after': '1' },
};

/** The body is larger than `maxBytes`; the rest of it is not read. */
export function bodyTooLarge(maxBytes: number): Refusal {
  const message = `Payload Too Large: Request body must not exceed ${maxBytes} bytes`;
  return { status: 413, code: -32000, message, headers: { connection: 'close' } };
}

/** A batch has more messages than `max`. */
export function batchTooLarge(max: number): Refusal {
  return { status: 400, code: -32600, message: `Invalid Request: Batch must not exceed ${max} messages` };
}
