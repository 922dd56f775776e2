// ext_authz on the wire, inwards: a CheckRequest becomes a plain request.

import type { GatewayRequest, RequestHeaders } from '../gateway/request.ts';
import type { CheckTrace } from '../telemetry/check-span.ts';
import type { WireHeader } from './services.ts';

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
  ['x-forwarded-host', 'forwardedHost'],
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
  'forwardedHost',
  'rebound',
]);

const EMPTY = Buffer.alloc(0);
/** What envoy.yaml attaches at most of a body whose length is not announced, or above 64 KiB. */
const MAX_ATTACHED_BYTES = 1_048_576;

/** Whoever waits for the decision: the call that Envoy ends when its client goes. */
export interface Asker {
  readonly cancelled: boolean;
  once(event: 'cancelled', listener: () => void): unknown;
}

export function readCheck(wire: WireCheckRequest, asker: Asker, trace?: CheckTrace): GatewayRequest {
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
    forwardedHost: undefined,
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
    if (field === undefined) {
      if (trace && name === 'traceparent') trace.header = text(header);
      continue;
    }
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
      signal ??= signalOf(asker);
      return signal;
    },
    get gone() {
      return asker.cancelled;
    },
    trace,
  };
}

/**
 * Made when a decision first looks at it: most never do, and an AbortController costs more than they. gRPC tells `cancelled` at the end
 * of every call, so that each of these signals fires, with an error and its stack.
 */
function signalOf(asker: Asker): AbortSignal {
  const controller = new AbortController();
  const abort = (): void => controller.abort(new Error('the client has gone'));
  if (asker.cancelled) abort();
  else asker.once('cancelled', abort);
  return controller.signal;
}

/** Envoy's own mark for a partial body does not get past `allowed_headers`. */
function isComplete(body: Buffer, contentLength: string | undefined): boolean {
  return contentLength === undefined ? body.length < MAX_ATTACHED_BYTES : body.length === Number(contentLength);
}

function text(header: WireHeader): string {
  return header.raw_value ? header.raw_value.toString('latin1') : (header.value ?? '');
}
