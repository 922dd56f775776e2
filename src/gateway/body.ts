// Step 4 of a decision: what the body of a POST asks for, or why it cannot be decided on.

import { headersAgree } from '../core/mcp-headers.ts';
import { peek, type RpcFields, type RpcMessage } from '../core/rpc-peek.ts';
import { refuse } from './refusal.ts';
import type { Answer, GatewayRequest } from './request.ts';

/** What is asked. GET and DELETE ask nothing: no messages. */
export interface Asked {
  readonly kind: 'asked';
  readonly messages: readonly RpcMessage[];
  readonly batch: boolean;
  /** False when only the beginning of the body is known. */
  readonly complete: boolean;
  /** The single message, as far as it is known. */
  readonly single: RpcFields | undefined;
}

/** What GET and DELETE ask. */
export const NOTHING_ASKED: Asked = { kind: 'asked', messages: [], batch: false, complete: true, single: undefined };

/** `ruled`: a rule on methods or tools is in force, which decides only on a complete body. */
export function readBody(request: GatewayRequest, ruled: boolean): Asked | Answer {
  if (request.method !== 'POST') return NOTHING_ASKED;
  const seen = peek(request.body, { complete: request.bodyComplete });
  // What stands behind a text that seems to have ended is not known either: fail closed where a rule is in force, and nowhere else.
  if (!request.bodyComplete && ruled && seen.kind !== 'invalid') {
    return refuse('body_too_large', { rpcId: seen.kind === 'single' || seen.kind === 'incomplete' ? seen.message?.id : undefined });
  }
  switch (seen.kind) {
    case 'invalid':
      return refuse(seen.reason === 'parse-error' ? 'parse_error' : 'invalid_request', { data: seen.detail });
    case 'incomplete':
      return { kind: 'asked', messages: [], batch: seen.batch, complete: false, single: seen.message };
    case 'batch':
      // A session cannot begin inside a batch (2025-03-26, lifecycle), and no policy could be applied to it as a whole.
      if (seen.initializeInBatch) return refuse('invalid_request', { data: 'initialize inside a batch' });
      // Batches ended with 2025-06-18: an element that claims a modern version is refused as the SDK's server does.
      if (seen.messages.some((message) => message.protocolVersion !== undefined))
        return refuse('invalid_request', { data: 'a modern request inside a batch' });
      return { kind: 'asked', messages: seen.messages, batch: true, complete: request.bodyComplete, single: undefined };
    case 'single': {
      const disagreement = headersAgree(request.headers, seen.message);
      if (disagreement)
        return refuse('header_mismatch', { rpcId: seen.message.id, message: disagreement.message, data: disagreement.data });
      return { kind: 'asked', messages: [seen.message], batch: false, complete: request.bodyComplete, single: seen.message };
    }
    default:
      return seen satisfies never;
  }
}
