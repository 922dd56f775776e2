// Refusals: from a reason of the table to the answer that keeps clients alive (design: "What a refusal looks like").

import { type ReasonCode, reasonOf } from '../core/reasons.ts';
import type { Answer, RequestFacts } from './request.ts';

const JSON_TYPE = ['content-type', 'application/json'] as const;

export interface RefusalOptions {
  /** Raw JSON text of the request's id; `null` when there is none. */
  readonly rpcId?: string | undefined;
  readonly facts?: RequestFacts;
  readonly headers?: readonly (readonly [string, string])[];
  /** Replaces the public message where the specification wants more said. */
  readonly message?: string;
  readonly data?: unknown;
}

/** A JSON-RPC error with the reason's HTTP status. */
export function refuse(code: ReasonCode, options: RefusalOptions = {}): Answer {
  const reason = reasonOf(code);
  const error = {
    code: reason.rpcCode,
    message: options.message ?? reason.message,
    ...(options.data === undefined ? {} : { data: options.data }),
  };
  const headers = [JSON_TYPE, ...(options.headers ?? [])];
  if (reason.retryAfter !== undefined) headers.push(['retry-after', String(reason.retryAfter)]);
  return {
    kind: 'answer',
    status: reason.status,
    headers,
    // The id is spliced in as it came: a number above 2^53 must come back exactly.
    body: `{"jsonrpc":"2.0","id":${options.rpcId ?? 'null'},"error":${JSON.stringify(error)}}`,
    facts: { ...options.facts, reason: code },
  };
}

/**
 * The refusal of a `tools/call` for want of capacity: a tool result that a model can read, with HTTP 200, because VS Code drops
 * the whole connection on other statuses. Other requests get the plain refusal.
 */
export function refuseCapacity(
  code: 'no_instance' | 'too_many_waiting' | 'recovery_failed',
  method: string | undefined,
  options: RefusalOptions,
): Answer {
  if (method !== 'tools/call' || options.rpcId === undefined) return refuse(code, options);
  const reason = reasonOf(code);
  const result = {
    content: [{ type: 'text', text: options.message ?? reason.message }],
    isError: true,
    _meta: { 'mcpgateway.dev/retryAfterMs': (reason.retryAfter ?? 1) * 1000 },
  };
  return {
    kind: 'answer',
    status: 200,
    headers: [JSON_TYPE, ...(options.headers ?? [])],
    body: `{"jsonrpc":"2.0","id":${options.rpcId},"result":${JSON.stringify(result)}}`,
    facts: { ...options.facts, reason: code },
  };
}

/** An answer without a body. */
export function bare(status: number, facts: RequestFacts, headers: readonly (readonly [string, string])[] = []): Answer {
  return { kind: 'answer', status, headers, body: '', facts };
}
