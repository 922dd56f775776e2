// What the refusal matrix expects: for every reason and every request the exact answer, "passes", or why the two never meet.

import { hasBody, hasId, isListedAs, type Message } from './refusals-requests.ts';

/** Names of headers besides Content-Type, Content-Length and Date, with their values. */
export type ExpectedHeaders = Readonly<Record<string, string | RegExp>>;

export type Expected =
  | { readonly kind: 'error'; readonly status: number; readonly error: object; readonly echo: boolean; readonly headers: ExpectedHeaders }
  /** A tool result with HTTP 200 that says this to the model. */
  | { readonly kind: 'result'; readonly text: string; readonly retryAfterMs: number | undefined; readonly headers: ExpectedHeaders }
  /** Not refused: this is what the server, or the gateway for a lost session, answers. */
  | { readonly kind: 'passes'; readonly status: number }
  | { readonly kind: 'never'; readonly why: string };

/** Who asks for what; everything else is fine. */
export interface Circumstances {
  readonly backend: string;
  /** Group of the token, which is the tenant; `none`: no token. */
  readonly as: string;
  readonly scope?: string;
  readonly tool?: string;
  /** Bytes of white space behind the message. */
  readonly padding?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly session?: 'unknown' | 'foreign' | 'ended';
  readonly twist?: (body: string) => string;
}

export interface Row extends Circumstances {
  /** Of `src/core/reasons.ts`. */
  readonly reason: string;
  readonly name: string;
  expect(message: Message): Expected;
}

const BATCH = 'batches ended with 2025-06-18: a modern one is refused as a batch, whatever else is wrong';
const NO_BODY = 'it has no body';

const error = (status: number, code: number, message: string, more: { echo?: boolean; headers?: ExpectedHeaders; data?: unknown } = {}) =>
  ({
    kind: 'error',
    status,
    error: { code, message, ...(more.data !== undefined && { data: more.data }) },
    echo: more.echo ?? false,
    headers: more.headers ?? {},
  }) as const;
const never = (why: string): Expected => ({ kind: 'never', why });

/** What the fixture server says when nobody refuses. A modern batch never gets there. */
function passes(message: Message): Expected {
  if (message.era === 'modern' && message.kind === 'batch') return never(BATCH);
  return { kind: 'passes', status: isListedAs(message, 'notification', 'response') ? 202 : 200 };
}

const always = (expected: Expected) => () => expected;

/** Refused by the limits: in-band for tools/call, never 4xx for server/discover; what is no request is never charged. */
function limited(message: Message, what: { code: number; text: string; inBand: ExpectedHeaders; plain: ExpectedHeaders; ms?: number }) {
  if (message.era === 'modern' && message.kind === 'batch') return never(BATCH);
  if (isListedAs(message, 'notification', 'response', 'GET', 'DELETE')) return passes(message);
  if (message.kind === 'tools/call') return { kind: 'result', text: what.text, retryAfterMs: what.ms, headers: what.inBand } as const;
  const status = message.kind === 'server/discover' ? 503 : 429;
  return error(status, what.code, what.text, { echo: hasId(message), headers: what.plain });
}

const SECONDS = /^[1-9][0-9]{0,3}$/;
const RATE_LIMIT: ExpectedHeaders = {
  'ratelimit-policy': '"tenant-1h";q=0;w=3600',
  ratelimit: /^"tenant-1h";r=0;t=[1-9][0-9]{0,3}$/,
};
const QUOTA = 'The quota is used up for now. Try again later.';
const BUSY = 'Too many requests are under way. Try again shortly.';
const GONE = 'The server is not available at the moment. Try again shortly.';

function noInstance(message: Message): Expected {
  const { era, kind } = message;
  if (era === 'modern' && kind === 'batch') return never(BATCH);
  if (kind === 'tools/call') return { kind: 'result', text: GONE, retryAfterMs: 5000, headers: {} };
  // They belong to the session that is lost with its instance; the end of a lost session is its end.
  if (era === 'legacy' && isListedAs(message, 'notification', 'response')) return { kind: 'passes', status: 202 };
  if (kind === 'DELETE') return { kind: 'passes', status: 200 };
  return error(503, -32603, GONE, { echo: hasId(message), headers: { 'retry-after': '5' } });
}

function sessionNotFound(message: Message): Expected {
  if (message.era === 'modern') return passes(message);
  if (message.kind === 'initialize') return never('it has no session: see session_with_initialize');
  return error(404, -32001, 'Session not found', { echo: hasId(message) });
}

const bodyOnly = (expect: (message: Message) => Expected) => (message: Message) => (hasBody(message) ? expect(message) : never(NO_BODY));

/** `base`: where the gateway is, for the challenges. */
export function rows(base: string): readonly Row[] {
  const challenge = (backend: string, rest = '') =>
    `Bearer resource_metadata="${base}/.well-known/oauth-protected-resource/adapters/${backend}/mcp"${rest}`;
  const free = { backend: 'main', as: 'free' };
  return [
    {
      ...{ name: 'no token', reason: 'token_missing', backend: 'main', as: 'none' },
      expect: always(error(401, -32000, 'Unauthorized', { headers: { 'www-authenticate': challenge('main') } })),
    },
    {
      ...{ name: 'expired token', reason: 'token_invalid', backend: 'main', as: 'expired' },
      expect: always(
        error(401, -32000, 'Unauthorized: the token is not accepted', {
          headers: { 'www-authenticate': challenge('main', ', error="invalid_token"') },
        }),
      ),
    },
    {
      ...{ name: 'a token in the URL', reason: 'token_in_query', ...free, query: '?access_token=abc' },
      expect: always(error(400, -32600, 'Invalid Request: a token in the URL is not accepted, send it in the Authorization header')),
    },
    { ...{ name: 'no tenant', reason: 'no_tenant', backend: 'main', as: 'stranger' }, expect: always(error(403, -32000, 'Forbidden')) },
    {
      ...{ name: 'another tenant’s backend', reason: 'backend_forbidden', backend: 'closed', as: 'free' },
      expect: always(error(403, -32000, 'Forbidden')),
    },
    {
      ...{ name: 'no such backend', reason: 'unknown_backend', backend: 'nowhere', as: 'free' },
      expect: always(error(404, -32000, 'Not found: no such backend')),
    },
    {
      ...{ name: 'a scope of the backend is missing', reason: 'insufficient_scope', backend: 'scoped', as: 'free', scope: 'mcp:use' },
      expect: always(
        error(403, -32000, 'Forbidden: the token lacks a scope', {
          headers: { 'www-authenticate': challenge('scoped', ', scope="mcp:use mcp:more", error="insufficient_scope"') },
        }),
      ),
    },
    {
      ...{ name: 'a scope of the tool is missing', reason: 'insufficient_scope', backend: 'stepped', as: 'free', scope: 'other' },
      expect: (message) =>
        isListedAs(message, 'tools/call', 'batch') && message.era + message.kind !== 'modernbatch'
          ? error(403, -32000, 'Forbidden: the token lacks a scope', {
              echo: hasId(message),
              headers: { 'www-authenticate': challenge('stepped', ', scope="mcp:tools", error="insufficient_scope"') },
            })
          : passes(message),
    },
    {
      ...{ name: 'tool not allowed', reason: 'tool_not_allowed', backend: 'main', as: 'policed', tool: 'test_image_content' },
      expect: (message) => {
        if (message.kind === 'tools/call') return error(200, -32602, 'Unknown tool: test_image_content', { echo: true });
        if (message.kind !== 'batch' || message.era === 'modern') return passes(message);
        return error(400, -32600, 'Invalid Request', { data: 'a call in the batch is not allowed' });
      },
    },
    {
      ...{ name: 'over quota', reason: 'quota_exceeded', backend: 'main', as: 'spent' },
      expect: (message) =>
        limited(message, { code: -32000, text: QUOTA, inBand: RATE_LIMIT, plain: { ...RATE_LIMIT, 'retry-after': SECONDS } }),
    },
    {
      ...{ name: 'too many under way', reason: 'too_many_requests', backend: 'main', as: 'crowded' },
      expect: (message) => limited(message, { code: -32000, text: BUSY, inBand: {}, plain: { 'retry-after': '1' }, ms: 1000 }),
    },
    {
      ...{ name: 'too many sessions', reason: 'too_many_sessions', backend: 'main', as: 'full' },
      expect: (message) => {
        if (message.era === 'modern') return never('modern requests have no sessions');
        if (message.kind !== 'initialize') return passes(message);
        const text = 'Too many sessions are open. End one, or try again later.';
        return error(429, -32000, text, { echo: true, headers: { 'retry-after': '1' } });
      },
    },
    { ...{ name: 'no instance', reason: 'no_instance', backend: 'gone', as: 'free' }, expect: noInstance },
    ...(['unknown', 'foreign', 'ended'] as const).map(
      (session): Row => ({
        ...{ name: `${session} session`, reason: 'session_not_found', ...free, session },
        // Ending what has ended is no mistake.
        expect: (message) =>
          session === 'ended' && message.kind === 'DELETE' ? { kind: 'passes', status: 200 } : sessionNotFound(message),
      }),
    ),
    {
      ...{ name: 'session id on initialize', reason: 'session_with_initialize', ...free },
      headers: { 'Mcp-Session-Id': 'any' },
      expect: ({ kind }) =>
        kind === 'initialize'
          ? error(400, -32600, 'Invalid Request: Server already initialized', { echo: true })
          : never('only initialize must have none'),
    },
    {
      ...{ name: 'headers that disagree', reason: 'header_mismatch', ...free },
      headers: { 'Mcp-Method': 'prompts/list' },
      expect: (message) => {
        if (message.era === 'legacy') return never('legacy requests say nothing in headers that could be compared');
        if (message.kind === 'batch') return never(BATCH);
        const method = message.kind === 'notification' ? 'notifications/cancelled' : message.kind;
        const what = message.kind === 'notification' ? 'the notification body' : 'the body';
        const body = `${what} names method ${method} but the Mcp-Method header names prompts/list`;
        return error(400, -32020, `Bad Request: the request headers and body disagree: ${body}`, {
          echo: hasId(message),
          data: { mismatch: { header: 'prompts/list', body } },
        });
      },
    },
    {
      ...{ name: 'beyond 1 MiB under a tool rule', reason: 'body_too_large', backend: 'main', as: 'policed', padding: 1_100_000 },
      expect: bodyOnly((message) => {
        const text = 'Payload Too Large: the body is larger than what can be checked (1 MiB)';
        return error(413, -32000, text, { echo: hasId(message) });
      }),
    },
    {
      ...{
        name: 'a key twice',
        reason: 'invalid_request',
        ...free,
        twist: (body: string) => body.replace('"2.0"', '"2.0","jsonrpc":"2.0"'),
      },
      expect: bodyOnly(always(error(400, -32600, 'Invalid Request', { data: '"jsonrpc" twice' }))),
    },
    {
      ...{ name: 'compressed', reason: 'unsupported_encoding', ...free, headers: { 'Content-Encoding': 'gzip' } },
      expect: bodyOnly(always(error(415, -32000, 'Unsupported Media Type: the body must be UTF-8 JSON without content encoding'))),
    },
    {
      ...{ name: 'a foreign page', reason: 'origin_not_allowed', ...free, headers: { Origin: 'https://evil.example' } },
      expect: always(error(403, -32000, 'Forbidden: Origin not allowed')),
    },
  ];
}

/** Reasons that do not depend on what is asked, or need more than a request to come about: where they are proven. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  unknown_path: 'local-rules.test.ts',
  legacy_sse_transport: 'local-rules.test.ts',
  method_not_allowed: 'bad-input.test.ts',
  host_not_allowed: 'local-rules.test.ts',
  repeated_header: 'bad-input.test.ts',
  parse_error: 'bad-input.test.ts',
  initialize_after_sessions: 'what a server of that era says: conformance.test.ts',
  keys_unavailable: 'the issuer is away: test/auth',
  too_many_waiting: 'a hundred others wait: parking.test.ts',
  recovery_failed: 'every instance refuses the session: src/gateway/recover.test.ts',
  list_unavailable: 'the server answers tools/list with something else: tool-policy.test.ts',
  limits_unavailable: 'only with Redis',
  state_unavailable: 'only with Redis',
  internal_error: 'a bug',
  edge_not_proven: 'only beside an Envoy of somebody else: test/beside',
};
