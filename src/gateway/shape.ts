// Step 1 of a decision: does the request have a shape that can be decided on at all, and for which backend is it.

import type { BackendName } from '../core/ids.ts';
import { isModernVersion } from '../core/mcp-headers.ts';
import { queryOf } from '../core/url-query.ts';
import type { Backend, Snapshot } from '../directory/snapshot.ts';
import { clientHost } from './public-url.ts';
import { refuse } from './refusal.ts';
import type { Answer, GatewayRequest } from './request.ts';

export interface EdgeRules {
  /** Host names (without port) that are served; undefined = all. */
  readonly hosts: ReadonlySet<string> | undefined;
  /** Origins of browser pages that may call. */
  readonly origins: ReadonlySet<string>;
  /** Whether pages served from this machine may call. */
  readonly loopbackOrigins: boolean;
  /** A proxy in front names the Host that the client used. */
  readonly trustForwardedHost: boolean;
}

export interface Shaped {
  readonly kind: 'shaped';
  readonly backend: Backend;
  /** Query with its question mark, or empty. */
  readonly query: string;
  /** The client speaks 2026-07-28 or later: no sessions. */
  readonly modern: boolean;
}

const ENDPOINT = /^\/adapters\/([a-z0-9-]{1,50})\/mcp$/;
const LEGACY_SSE = /^\/adapters\/[a-z0-9-]{1,50}\/(sse|messages?)\/?$/;
const PORT = /^\d{1,5}$/;
const LOOPBACK_NAMES: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);
const ALLOW = [['allow', 'GET, POST, DELETE, OPTIONS']] as const;
/** A day: preflight answers never change for a running gateway. */
const PREFLIGHT_SECONDS = '86400';

/** The loopback rule of the local mode: the names of this machine, and those that its user has added. */
export const loopbackHosts = (extra: Iterable<string>): ReadonlySet<string> => new Set([...LOOPBACK_NAMES, ...extra]);

export function shape(request: GatewayRequest, snapshot: Snapshot, rules: EdgeRules): Shaped | Answer {
  const { headers, method } = request;
  // A page of another site can point its own name at this machine (DNS rebinding), but it cannot choose the Host it sends.
  if (!isServed(request.authority, rules)) return refuse('host_not_allowed');
  // Nor may a client choose the one that a careless proxy passes on: the audience of tokens is made of it.
  if (rules.trustForwardedHost && !isServed(clientHost(request.authority, headers.forwardedHost), rules)) return refuse('host_not_allowed');
  if (headers.origin !== undefined && !originAllowed(headers.origin, rules)) return refuse('origin_not_allowed');

  const query = queryOf(request.path);
  const path = query === '' ? request.path : request.path.slice(0, -query.length);
  const name = ENDPOINT.exec(path)?.[1];
  if (name === undefined) return refuse(LEGACY_SSE.test(path) ? 'legacy_sse_transport' : 'unknown_path');
  if (method === 'OPTIONS') return preflight(headers.origin, headers.requestedMethod);
  if (method !== 'POST' && method !== 'GET' && method !== 'DELETE') return refuse('method_not_allowed', { headers: ALLOW });
  if (headers.repeated) return refuse('repeated_header');
  if (method === 'POST' && !readable(headers.contentEncoding, headers.contentType)) return refuse('unsupported_encoding');

  const backend = snapshot.backends.get(name as BackendName);
  if (!backend) return refuse('unknown_backend');
  return {
    kind: 'shaped',
    backend,
    query,
    modern: method === 'POST' && headers.protocolVersion !== undefined && isModernVersion(headers.protocolVersion),
  };
}

/** Whether requests to this host, which may have a port, are answered. */
export function isServed(host: string, { hosts }: Pick<EdgeRules, 'hosts'>): boolean {
  return hosts === undefined || hosts.has(hostName(host)) || hosts.has(host.toLowerCase());
}

/** The origin to name in CORS headers, when the request comes from an allowed page. */
export function corsOrigin(origin: string | undefined, rules: EdgeRules): string | undefined {
  return origin !== undefined && originAllowed(origin, rules) ? origin : undefined;
}

/** What every answer to an allowed page carries; the session id is useless to a page that cannot read it. */
export function corsHeaders(origin: string): (readonly [string, string])[] {
  return [
    ['access-control-allow-origin', origin],
    ['access-control-expose-headers', 'Mcp-Session-Id, WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy'],
    ['vary', 'origin'],
  ];
}

function originAllowed(origin: string, rules: EdgeRules): boolean {
  if (rules.origins.has(origin)) return true;
  if (!rules.loopbackOrigins) return false;
  const host = /^https?:\/\/(\[[0-9a-f:]+\]|[^/?#@:\s[\]]+)(?::\d{1,5})?$/.exec(origin)?.[1];
  return host !== undefined && LOOPBACK_NAMES.has(host);
}

/** Host without port, lower case; brackets of an IPv6 address stay, and so does what is no port: then no rule knows the name. */
function hostName(authority: string): string {
  const bracket = authority.indexOf(']');
  const colon = authority.indexOf(':', bracket < 0 ? 0 : bracket);
  const hasPort = colon >= 0 && PORT.test(authority.slice(colon + 1));
  return (hasPort ? authority.slice(0, colon) : authority).toLowerCase();
}

/** A body is read as UTF-8 JSON: a coding or charset that another reader would honour hides what is in it. */
function readable(encoding: string | undefined, type: string | undefined): boolean {
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') return false;
  if (type === undefined) return true;
  const lower = type.toLowerCase();
  const at = lower.indexOf('charset');
  if (at < 0) return true;
  const charsets = lower.split(';').filter((parameter) => parameter.includes('charset'));
  return charsets.every((parameter) => /^[ \t]*charset[ \t]*=[ \t]*("?)(?:utf-8|utf8|us-ascii)\1[ \t]*$/.test(parameter));
}

function preflight(origin: string | undefined, requested: string | undefined): Answer {
  const headers: (readonly [string, string])[] = [['allow', ALLOW[0][1]]];
  if (origin !== undefined && requested !== undefined) {
    headers.push(
      ['access-control-allow-methods', 'GET, POST, DELETE'],
      [
        'access-control-allow-headers',
        'Accept, Authorization, Content-Type, Last-Event-ID, Mcp-Method, Mcp-Name, Mcp-Protocol-Version, Mcp-Session-Id, traceparent, tracestate',
      ],
      ['access-control-max-age', PREFLIGHT_SECONDS],
    );
  }
  return { kind: 'answer', status: 204, headers, body: '', facts: {} };
}
