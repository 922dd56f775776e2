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
  /** Milliseconds, instead of the reason's own `Retry-After`. */
  readonly retryAfterMs?: number | undefined;
  /** Instead of the reason's own status. */
  readonly status?: number;
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
  const retryAfter = options.retryAfterMs === undefined ? reason.retryAfter : Math.max(1, Math.ceil(options.retryAfterMs / 1000));
  if (retryAfter !== undefined) headers.push(['retry-after', String(retryAfter)]);
  return {
    kind: 'answer',
    status: options.status ?? reason.status,
    headers,
    // The id is spliced in as it came: a number above 2^53 must come back exactly.
    body: `{"jsonrpc":"2.0","id":${options.rpcId ?? 'null'},"error":${JSON.stringify(error)}}`,
    facts: { ...options.facts, reason: code },
  };
}

export interface CapacityOptions extends RefusalOptions {
  /** A request of 2026-07-28 or later: its clients refuse a result without `resultType`. */
  readonly modern: boolean;
}

/** What a `tools/call` can be refused for without being wrong. */
export type CapacityCode =
  | 'no_instance'
  | 'too_many_waiting'
  | 'recovery_failed'
  | 'quota_exceeded'
  | 'too_many_requests'
  | 'too_many_sessions'
  | 'limits_unavailable';

/**
 * The refusal of a `tools/call` for want of capacity: a tool result that a model can read, with HTTP 200, because VS Code drops
 * the whole connection on other statuses. Other requests get the plain refusal.
 */
export function refuseCapacity(code: CapacityCode, method: string | undefined, options: CapacityOptions): Answer {
  // A 4xx on it makes clients take the server for an old one, silently and for good.
  if (method === 'server/discover' && reasonOf(code).status < 500) return refuse(code, { ...options, status: 503 });
  if (method !== 'tools/call' || options.rpcId === undefined) return refuse(code, options);
  const reason = reasonOf(code);
  const result = {
    ...(options.modern ? { resultType: 'complete' } : {}),
    content: [{ type: 'text', text: options.message ?? reason.message }],
    isError: true,
    _meta: { 'mcpgateway.dev/retryAfterMs': Math.ceil(options.retryAfterMs ?? (reason.retryAfter ?? 1) * 1000) },
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
