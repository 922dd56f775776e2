// ext_proc on the wire: the headers of an answer to `initialize`, and what becomes of its session id.

import type { Opening } from '../gateway/request.ts';
import type { SealAnswer, SealedAnswer } from '../gateway/seal-answer.ts';
import { AUTHZ_NAMESPACE, OVERWRITE_OR_ADD, type WireHeader, type WireHeaderOption, type WireMetadata } from './services.ts';

export interface WireProcessingRequest {
  readonly response_headers?: { readonly headers?: { readonly headers?: readonly WireHeader[] } };
  readonly metadata_context?: WireMetadata;
}

interface WireMutation {
  readonly set_headers?: readonly WireHeaderOption[];
  readonly remove_headers?: readonly string[];
}

export interface WireProcessingResponse {
  readonly response_headers?: { readonly response: { readonly header_mutation?: WireMutation } };
  readonly immediate_response?: { readonly status: { readonly code: number }; readonly headers: WireMutation; readonly body: Buffer };
}

export async function answerProcessing(wire: WireProcessingRequest, sealAnswer: SealAnswer): Promise<WireProcessingResponse> {
  const headers = wire.response_headers?.headers?.headers ?? [];
  const find = (name: string): string | undefined => {
    const header = headers.find((candidate) => candidate.key === name);
    return header && (header.raw_value ? header.raw_value.toString('latin1') : header.value);
  };
  const opening = wire.metadata_context?.filter_metadata?.[AUTHZ_NAMESPACE]?.fields?.['opening']?.stringValue;
  const sealed = await sealAnswer(
    opening === undefined ? undefined : (JSON.parse(opening) as Opening),
    Number(find(':status') ?? '0'),
    find('mcp-session-id'),
  );
  return writeSealed(sealed);
}

function writeSealed(sealed: SealedAnswer): WireProcessingResponse {
  switch (sealed.kind) {
    case 'keep':
      return { response_headers: { response: {} } };
    case 'remove':
      return { response_headers: { response: { header_mutation: { remove_headers: ['mcp-session-id'] } } } };
    case 'replace':
      return { response_headers: { response: { header_mutation: { set_headers: [header('mcp-session-id', sealed.sessionId)] } } } };
    case 'refuse':
      return {
        immediate_response: {
          status: { code: 502 },
          headers: { set_headers: [header('content-type', 'application/json')] },
          body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32603, message: `Bad gateway: ${sealed.why}` } })),
        },
      };
    default:
      return sealed satisfies never;
  }
}

/** ext_proc reads `raw_value`, unlike ext_authz. */
function header(key: string, value: string): WireHeaderOption {
  return { header: { key, raw_value: Buffer.from(value, 'latin1') }, append_action: OVERWRITE_OR_ADD };
}
