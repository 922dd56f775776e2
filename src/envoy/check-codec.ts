// ext_authz on the wire: a CheckRequest becomes a plain request, a decision becomes a CheckResponse.

import type { Answer, Decision, Forward, GatewayRequest, RequestHeaders } from '../gateway/request.ts';
import { corsHeaders } from '../gateway/shape.ts';
import {
  APPEND,
  OVERWRITE_IF_EXISTS,
  OVERWRITE_OR_ADD,
  type WireHeader,
  type WireHeaderOption,
  type WireStruct,
  type WireValue,
} from './services.ts';

export interface WireCheckRequest {
  readonly attributes?: {
    readonly request?: {
      readonly http?: {
        readonly method?: string;
        readonly header_map?: { readonly headers?: readonly WireHeader[] };
        readonly path?: string;
        readonly host?: string;
        readonly scheme?: string;
        readonly raw_body?: Buffer;
      };
    };
  };
}

export interface WireCheckResponse {
  readonly status: { readonly code: number };
  readonly ok_response?: {
    readonly headers: readonly WireHeaderOption[];
    readonly headers_to_remove: readonly string[];
    readonly response_headers_to_add: readonly WireHeaderOption[];
  };
  readonly denied_response?: {
    readonly status: { readonly code: number };
    readonly headers: readonly WireHeaderOption[];
    readonly body: Buffer;
  };
  readonly dynamic_metadata: WireStruct;
}

type HeaderField = Exclude<keyof RequestHeaders, 'repeated'>;

/** The request headers that envoy.yaml passes on (`allowed_headers`), and what they are called here. */
const FIELDS: ReadonlyMap<string, HeaderField> = new Map([
  ['mcp-session-id', 'sessionId'],
  ['mcp-protocol-version', 'protocolVersion'],
  ['mcp-method', 'mcpMethod'],
  ['mcp-name', 'mcpName'],
  ['authorization', 'authorization'],
  ['origin', 'origin'],
  ['accept', 'accept'],
  ['content-type', 'contentType'],
  ['content-encoding', 'contentEncoding'],
  ['last-event-id', 'lastEventId'],
  ['access-control-request-method', 'requestedMethod'],
  ['x-mcp-rebound', 'rebound'],
]);

/** Fields of which two readers must not be able to see two values. */
const UNIQUE: ReadonlySet<HeaderField> = new Set([
  'sessionId',
  'protocolVersion',
  'mcpMethod',
  'mcpName',
  'authorization',
  'origin',
  'contentEncoding',
  'contentType',
  'rebound',
]);

const PERMISSION_DENIED = 7;
const EMPTY = Buffer.alloc(0);
/** What envoy.yaml attaches at most of a body whose length is not announced, or above 64 KiB. */
const MAX_ATTACHED_BYTES = 1_048_576;

/** `makeSignal` is called when a decision first looks at the signal: most never do, and an AbortController costs more than they. */
export function readCheck(wire: WireCheckRequest, makeSignal: () => AbortSignal): GatewayRequest {
  const http = wire.attributes?.request?.http ?? {};
  const headers: { -readonly [Field in keyof RequestHeaders]: RequestHeaders[Field] } = {
    sessionId: undefined,
    protocolVersion: undefined,
    mcpMethod: undefined,
    mcpName: undefined,
    authorization: undefined,
    origin: undefined,
    accept: undefined,
    contentType: undefined,
    contentEncoding: undefined,
    lastEventId: undefined,
    requestedMethod: undefined,
    rebound: undefined,
    repeated: false,
  };
  const body = http.raw_body ?? EMPTY;
  let id = '';
  let contentLength: string | undefined;
  for (const header of http.header_map?.headers ?? []) {
    const name = header.key ?? '';
    if (name === 'x-request-id') {
      id = text(header);
      continue;
    }
    if (name === 'content-length') {
      contentLength = text(header);
      continue;
    }
    const field = FIELDS.get(name);
    if (field === undefined) continue;
    const value = text(header);
    if (UNIQUE.has(field) && (headers[field] !== undefined || value === '')) headers.repeated = true;
    // Envoy joins repeated Authorization headers with a comma, which a bearer token cannot hold.
    if (field === 'authorization' && value.includes(',')) headers.repeated = true;
    headers[field] = headers[field] === undefined || field !== 'accept' ? value : `${headers[field]}, ${value}`;
  }
  let signal: AbortSignal | undefined;
  return {
    id,
    method: http.method ?? '',
    path: http.path ?? '',
    authority: http.host ?? '',
    scheme: http.scheme ?? 'http',
    headers,
    body,
    bodyComplete: isComplete(body, contentLength),
    get signal() {
      signal ??= makeSignal();
      return signal;
    },
  };
}

/** Envoy's own mark for a partial body does not get past `allowed_headers`. */
function isComplete(body: Buffer, contentLength: string | undefined): boolean {
  return contentLength === undefined ? body.length < MAX_ATTACHED_BYTES : body.length === Number(contentLength);
}

export function writeCheck(decision: Decision): WireCheckResponse {
  return decision.kind === 'forward' ? writeForward(decision) : writeAnswer(decision);
}

function writeForward(decision: Forward): WireCheckResponse {
  const headers = decision.set.map(([name, value]) => option(name, value, OVERWRITE_OR_ADD));
  headers.push(option(':path', decision.path, OVERWRITE_OR_ADD));
  if (decision.authority !== undefined) headers.push(option(':authority', decision.authority, OVERWRITE_OR_ADD));
  const onAnswer: WireHeaderOption[] = [];
  // SDK servers put their own session id on every answer; the client must only ever see its own.
  if (decision.sessionId !== undefined) onAnswer.push(option('mcp-session-id', decision.sessionId, OVERWRITE_IF_EXISTS));
  if (decision.corsOrigin !== undefined) {
    for (const [name, value] of corsHeaders(decision.corsOrigin)) onAnswer.push(option(name, value, OVERWRITE_OR_ADD));
  }
  return {
    status: { code: 0 },
    ok_response: { headers, headers_to_remove: decision.remove, response_headers_to_add: onAnswer },
    dynamic_metadata: { fields: metadataOf(decision) },
  };
}

/** What other parts of Envoy read of a decision: the pod to dial, the route, the id for error replies, the log fields. */
function metadataOf(decision: Forward): Record<string, WireValue> {
  const fields: Record<string, WireValue> = {
    upstream: { stringValue: decision.upstream },
    way: { stringValue: `${decision.way}-${decision.pass}${decision.tls ? '-tls' : ''}` },
    facts: { stringValue: JSON.stringify(decision.facts) },
  };
  const id = rpcIdValue(decision.rpcId);
  if (id) fields['rpc_id'] = id;
  if (decision.opening) fields['opening'] = { stringValue: JSON.stringify(decision.opening) };
  if (decision.ending !== undefined) fields['lease'] = { stringValue: `end ${decision.ending}` };
  return fields;
}

/** A number is exact up to 2^53 in a Struct; a larger id is left out rather than given back changed. */
function rpcIdValue(id: string | number | undefined): WireValue | undefined {
  if (typeof id === 'string') return { stringValue: id };
  if (typeof id === 'number' && (!Number.isInteger(id) || Number.isSafeInteger(id))) return { numberValue: id };
  return undefined;
}

function writeAnswer(decision: Answer): WireCheckResponse {
  return {
    status: { code: PERMISSION_DENIED },
    denied_response: {
      status: { code: decision.status },
      headers: decision.headers.map(([name, value]) =>
        option(name, value, name === 'vary' || name === 'set-cookie' ? APPEND : OVERWRITE_OR_ADD),
      ),
      body: typeof decision.body === 'string' ? Buffer.from(decision.body) : decision.body,
    },
    dynamic_metadata: { fields: { facts: { stringValue: JSON.stringify(decision.facts) } } },
  };
}

function text(header: WireHeader): string {
  return header.raw_value ? header.raw_value.toString('latin1') : (header.value ?? '');
}

function option(key: string, value: string, action: number): WireHeaderOption {
  return { header: { key, value }, append_action: action };
}
