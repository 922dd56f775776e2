// The documents that tell a client where to log in, answered without a token: RFC 9728, and a clean 404 for what clients try besides.

import type { BackendName } from '../core/ids.ts';
import type { Directory } from '../directory/directory.ts';
import {
  ADMIN_ENDPOINT,
  type Addressed,
  basePath,
  baseUrlOf,
  clientHost,
  endpointUrl,
  type PublicUrlRules,
  RESOURCE_METADATA,
} from '../gateway/public-url.ts';
import { refuse } from '../gateway/refusal.ts';
import type { Answer } from '../gateway/request.ts';
import { type EdgeRules, isServed } from '../gateway/shape.ts';

export interface WellKnownOptions {
  /** Exact issuer texts: clients fetch the metadata of the authorization server from them. */
  readonly issuers: readonly string[];
  readonly directory: Pick<Directory, 'snapshot'>;
  readonly publicUrl: PublicUrlRules;
  readonly edge: Pick<EdgeRules, 'hosts'>;
}

/** Undefined for paths that are no well-known ones. */
export type AnswerWellKnown = (path: string, addressed: Addressed) => Answer | undefined;

const BACKEND_PATH = /^\/adapters\/([a-z0-9-]{1,50})\/mcp$/;
/** Pages may read these documents whatever their origin: a browser client has to find its way, and nothing in them is secret. */
const HEADERS = [
  ['content-type', 'application/json'],
  ['access-control-allow-origin', '*'],
  ['cache-control', 'public, max-age=300'],
] as const;

export function createWellKnown({ issuers, directory, publicUrl, edge }: WellKnownOptions): AnswerWellKnown {
  const document = (resource: string, scopes: readonly string[]): Answer => {
    const body = {
      resource,
      authorization_servers: issuers,
      bearer_methods_supported: ['header'],
      ...(scopes.length > 0 ? { scopes_supported: scopes } : {}),
      resource_name: 'MCP gateway',
    };
    return { kind: 'answer', status: 200, headers: HEADERS, body: JSON.stringify(body), facts: {} };
  };

  return (path, addressed) => {
    if (!path.startsWith('/.well-known/')) return undefined;
    if (issuers.length === 0 || (path !== RESOURCE_METADATA && !path.startsWith(`${RESOURCE_METADATA}/`))) return NOT_FOUND;
    // Envoy has only looked at the name in the Host header: not at its port, nor at the host that a proxy forwards.
    const { authority, forwardedHost } = addressed;
    if (!isServed(clientHost(authority, publicUrl.trustForwardedHost ? forwardedHost : undefined), edge)) return refuse('host_not_allowed');
    const base = baseUrlOf(addressed, publicUrl);
    const rest = path.slice(RESOURCE_METADATA.length);
    // A proxy in front may or may not have taken off the path of the base URL.
    const prefix = basePath(base);
    const inner = prefix !== '' && rest.startsWith(prefix) ? rest.slice(prefix.length) : rest;
    if (inner === '' || inner === '/') return document(base, []);
    if (inner === ADMIN_ENDPOINT) return document(`${base}${ADMIN_ENDPOINT}`, []);
    const name = BACKEND_PATH.exec(inner)?.[1];
    if (name === undefined) return NOT_FOUND;
    // A name that is not declared gets its document too: who has no token does not learn which names exist.
    const access = directory.snapshot().backends.get(name as BackendName)?.access;
    return document(endpointUrl(base, name), access?.scopes ?? []);
  };
}

/** The SDK's clients send a version header along, so browsers ask before they fetch. */
export const WELL_KNOWN_PREFLIGHT: Answer = {
  kind: 'answer',
  status: 204,
  headers: [
    ['allow', 'GET, HEAD, OPTIONS'],
    ['access-control-allow-origin', '*'],
    ['access-control-allow-methods', 'GET, HEAD'],
    ['access-control-allow-headers', 'Accept, Authorization, Content-Type, Mcp-Protocol-Version'],
    ['access-control-max-age', '86400'],
  ],
  body: '',
  facts: {},
};

const NOT_FOUND: Answer = { ...refuse('unknown_path'), headers: HEADERS };
