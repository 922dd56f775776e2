// The one table of reasons for which a request is not simply forwarded: metric label, log field, answer and docs page.

/** Statuses and codes imitate the reference server (TypeScript SDK) wherever it has an answer for the same thing. */
interface Reason {
  /** HTTP status of the answer. */
  readonly status: number;
  /** JSON-RPC error code; undefined for answers without a JSON-RPC error. */
  readonly rpcCode?: number;
  /** Public message: generic, the same for everyone. The log says why. */
  readonly message: string;
  /** Seconds for `Retry-After`. */
  readonly retryAfter?: number;
  /** What it means and what to do, for docs/errors.md. */
  readonly doc: string;
}

export const reasons = {
  unknown_path: {
    status: 404,
    rpcCode: -32000,
    message: 'Not found',
    doc: 'No such path. MCP endpoints are `/adapters/{name}/mcp`.',
  },
  unknown_backend: {
    status: 404,
    rpcCode: -32000,
    message: 'Not found: no such backend',
    doc: 'No MCPBackend has this name.',
  },
  legacy_sse_transport: {
    status: 404,
    rpcCode: -32000,
    message: 'The HTTP+SSE transport (2024-11-05) is not supported: connect with Streamable HTTP to /adapters/{name}/mcp',
    doc: 'A client of the old transport asked for `/sse` or `/messages`. Configure it for Streamable HTTP.',
  },
  method_not_allowed: {
    status: 405,
    rpcCode: -32000,
    message: 'Method not allowed.',
    doc: 'MCP uses POST, GET and DELETE (and OPTIONS for browsers).',
  },
  host_not_allowed: {
    status: 403,
    rpcCode: -32000,
    message: 'Forbidden: Host not allowed',
    doc: 'On loopback only localhost, 127.0.0.1 and [::1] are served: a web page that rebinds its name to this machine is refused. Others: `allowedHosts`.',
  },
  origin_not_allowed: {
    status: 403,
    rpcCode: -32000,
    message: 'Forbidden: Origin not allowed',
    doc: 'A browser page of an origin that is not in `allowedOrigins`.',
  },
  token_missing: {
    status: 401,
    rpcCode: -32000,
    message: 'Unauthorized',
    doc: 'No token. `WWW-Authenticate` names the metadata document, which names where to log in.',
  },
  token_invalid: {
    status: 401,
    rpcCode: -32000,
    message: 'Unauthorized: the token is not accepted',
    doc: 'The token is malformed, expired, not signed by a configured issuer, or for another audience. The log line `token refused` with the same request id says which.',
  },
  token_in_query: {
    status: 400,
    rpcCode: -32600,
    message: 'Invalid Request: a token in the URL is not accepted, send it in the Authorization header',
    doc: 'The query holds `access_token`: it would stand in logs, and travel to the server.',
  },
  edge_not_proven: {
    status: 503,
    rpcCode: -32603,
    message: 'Policy service unavailable',
    retryAfter: 5,
    doc: 'The Envoy that asked has not shown that it removes the internal headers of its clients: the header mutations of `k8s/beside` are missing on this listener, or the secret differs. The log line `edge not proven` says which.',
  },
  keys_unavailable: {
    status: 503,
    rpcCode: -32603,
    message: 'The identity provider cannot be reached at the moment. Try again shortly.',
    retryAfter: 5,
    doc: 'The signing keys of the token’s issuer could not be read and none are known from before.',
  },
  no_tenant: {
    status: 403,
    rpcCode: -32000,
    message: 'Forbidden',
    doc: 'The token is good, but no MCPTenant matches it.',
  },
  backend_forbidden: {
    status: 403,
    rpcCode: -32000,
    message: 'Forbidden',
    doc: '`access` of the backend names neither the caller’s tenant nor one of their roles.',
  },
  insufficient_scope: {
    status: 403,
    rpcCode: -32000,
    message: 'Forbidden: the token lacks a scope',
    doc: 'A token with the scopes of `WWW-Authenticate` would do: `access.scopes` of the backend, and `access.toolScopes` of the called tool.',
  },
  repeated_header: {
    status: 400,
    rpcCode: -32600,
    message: 'Invalid Request: a header that must be unique is repeated or empty',
    doc: '`mcp-session-id`, `mcp-protocol-version`, `mcp-method`, `mcp-name` or `authorization` came twice or empty: two readers could disagree on which one counts.',
  },
  unsupported_encoding: {
    status: 415,
    rpcCode: -32000,
    message: 'Unsupported Media Type: the body must be UTF-8 JSON without content encoding',
    doc: 'Compressed bodies and charsets other than UTF-8 are refused: what cannot be read cannot be policed.',
  },
  parse_error: {
    status: 400,
    rpcCode: -32700,
    message: 'Parse error: Invalid JSON',
    doc: 'The body is not JSON.',
  },
  invalid_request: {
    status: 400,
    rpcCode: -32600,
    message: 'Invalid Request',
    doc: 'The body is JSON but no unambiguous JSON-RPC message: repeated keys, a key that differs only in case, a batch that is empty, has more than 50 elements or contains `initialize`.',
  },
  header_mismatch: {
    status: 400,
    rpcCode: -32020,
    message: 'Header mismatch',
    doc: 'A modern request (2026-07-28) whose headers and body disagree.',
  },
  initialize_after_sessions: {
    status: 404,
    rpcCode: -32601,
    message: 'Method not found',
    doc: '`initialize` under the header of a version without sessions (2026-07-28 and later), to a backend with sessions.',
  },
  body_too_large: {
    status: 413,
    rpcCode: -32000,
    message: 'Payload Too Large: the body is larger than what can be checked (1 MiB)',
    doc: 'A rule on tools, and a quota, decides only on a complete body. Larger bodies pass where none is in force, but for `initialize`.',
  },
  session_not_found: {
    status: 404,
    rpcCode: -32001,
    message: 'Session not found',
    doc: 'The session id is unknown, expired, ended, or someone else’s. Start a new session with `initialize`.',
  },
  session_with_initialize: {
    status: 400,
    rpcCode: -32600,
    message: 'Invalid Request: Server already initialized',
    doc: '`initialize` must not carry a session id.',
  },
  tool_not_allowed: {
    status: 200,
    rpcCode: -32602,
    message: 'Unknown tool',
    doc: 'The tool does not exist, or a rule of `access.tools` hides it: a client cannot tell which.',
  },
  no_instance: {
    status: 503,
    rpcCode: -32603,
    message: 'The server is not available at the moment. Try again shortly.',
    retryAfter: 5,
    doc: 'No instance became ready within the start time. For `tools/call` the answer is a tool result with `isError` and HTTP 200.',
  },
  too_many_waiting: {
    status: 503,
    rpcCode: -32603,
    message: 'Too many requests wait for this server. Try again shortly.',
    retryAfter: 5,
    doc: 'At most 100 requests per backend (10 per caller) wait for an instance. For `tools/call` the answer is a tool result with `isError` and HTTP 200.',
  },
  recovery_failed: {
    status: 503,
    rpcCode: -32603,
    message: 'The session could not be opened again. Try again shortly.',
    retryAfter: 2,
    doc: 'The session’s instance is gone and no other one accepted it. The id stays valid: the next request tries again.',
  },
  quota_exceeded: {
    status: 429,
    rpcCode: -32000,
    message: 'The quota is used up for now. Try again later.',
    doc: 'A quota of the tenant is used up; `Retry-After` and `RateLimit` say until when. For `tools/call` the answer is a tool result with `isError` and HTTP 200; for `server/discover` the status is 503, because clients take a 4xx for an old server.',
  },
  too_many_requests: {
    status: 429,
    rpcCode: -32000,
    message: 'Too many requests are under way. Try again shortly.',
    doc: '`limits.concurrentRequests` of the tenant. Answered like `quota_exceeded`.',
  },
  too_many_sessions: {
    status: 429,
    rpcCode: -32000,
    message: 'Too many sessions are open. End one, or try again later.',
    doc: '`limits.sessions` of the tenant: `initialize` is refused until a session ends or has been idle for `sessions.idleTimeout`.',
  },
  limits_unavailable: {
    status: 503,
    rpcCode: -32603,
    message: 'The quota cannot be checked at the moment. Try again shortly.',
    retryAfter: 1,
    doc: 'The counters cannot be reached and the tenant says `onOutage: deny`. For `tools/call` the answer is a tool result with `isError` and HTTP 200.',
  },
  list_unavailable: {
    status: 502,
    rpcCode: -32603,
    message: 'The list of tools could not be read from the server',
    doc: 'A rule on tools is in force and the server’s answer to `tools/list` could not be filtered, so none is given.',
  },
  state_unavailable: {
    status: 503,
    rpcCode: -32603,
    message: 'The session state is not available at the moment. Try again shortly.',
    retryAfter: 1,
    doc: 'The session store did not answer and `onRevocationOutage` is `deny`.',
  },
  internal_error: {
    status: 500,
    rpcCode: -32603,
    message: 'Internal error',
    doc: 'A bug of the gateway: see its log for the request id.',
  },
} as const satisfies Record<string, Reason>;

export type ReasonCode = keyof typeof reasons;

export const reasonOf = (code: ReasonCode): Reason => reasons[code];

/** The Markdown of docs/errors.md; `extra` are the answers that Envoy gives by itself. */
export function errorsPage(): string {
  const rows = Object.entries(reasons).map(([code, reason]: [string, Reason]) => {
    const retry = reason.retryAfter === undefined ? '' : ` Retry-After: ${reason.retryAfter}`;
    return `| \`${code}\` | ${reason.status}${retry} | ${reason.rpcCode ?? ''} | ${reason.message} | ${reason.doc} |`;
  });
  return [
    '# Refusals',
    '',
    'Generated from `src/core/reasons.ts` by `npm run docs`. The code is the `reason` of the log line and the label of the metric `mcp_requests_total`.',
    '',
    '| code | HTTP | JSON-RPC | public message | meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    '## Answers that Envoy gives by itself',
    '',
    'They are JSON-RPC errors with code -32603 and the id of the request.',
    '',
    '| when | HTTP | message |',
    '|---|---|---|',
    '| no sidecar answers (fails closed) | 503, Retry-After: 1 | Policy service unavailable |',
    '| the connection to the server broke after the request was written | 503 | The connection to the server broke: the outcome of this request is unknown |',
    '| the request is larger than what can be replayed (1 MiB) and its server is gone | 507 | The request is too large to be replayed |',
    '| the server cannot be reached | 503 | Upstream unavailable |',
    '',
  ].join('\n');
}
