// The URLs under which clients know the gateway: its base, its backends' endpoints, and the documents that tell where to log in.

import type { GatewayRequest } from './request.ts';

export interface PublicUrlRules {
  /** The configured base URL, without a slash at its end. */
  readonly publicUrl: string | undefined;
  /** A proxy in front names the Host that the client used; from anyone else the header would be a lie that tokens are then bound to. */
  readonly trustForwardedHost: boolean;
  /** The port that the listener has; undefined while it is not known. */
  readonly ownPort: () => number | undefined;
  /** Served hosts that were named with their port: `mcp.example.com:8443`. */
  readonly namedPorts: ReadonlySet<string>;
}

/** What the base URL is made of. */
export interface Addressed {
  readonly scheme: string;
  readonly authority: string;
  readonly forwardedHost: string | undefined;
}

/** Without a slash at its end. */
export function baseUrlOf({ scheme, authority, forwardedHost }: Addressed, rules: PublicUrlRules): string {
  if (rules.publicUrl !== undefined) return rules.publicUrl;
  const host = clientHost(authority, rules.trustForwardedHost ? forwardedHost : undefined);
  // Some clients and proxies name the default port and some do not, which must not make two audiences of it.
  const port = scheme === 'https' ? ':443' : ':80';
  return `${scheme}://${host.endsWith(port) ? host.slice(0, -port.length) : host}`;
}

/** The Host that the client used, lower case. A chain of proxies makes a list of the forwarded ones: the first is the client's. */
export function clientHost(authority: string, forwardedHost: string | undefined): string {
  return (forwardedHost?.split(',')[0]?.trim() ?? authority).toLowerCase();
}

/**
 * Whether tokens may be bound to the URL that `baseUrlOf` makes of a request. Where nothing is configured that is the client's own word: a
 * server on the same machine, under the same name but another port, could pass on the tokens that were made for it.
 */
export function isOwnUrl({ scheme, authority, forwardedHost }: Addressed, rules: PublicUrlRules): boolean {
  if (rules.publicUrl !== undefined) return true;
  const host = clientHost(authority, rules.trustForwardedHost ? forwardedHost : undefined);
  if (rules.namedPorts.has(host)) return true;
  const usual = scheme === 'https' ? 443 : 80;
  const port = Number(/:(\d{1,5})$/.exec(host)?.[1] ?? usual);
  return port === rules.ownPort() || (rules.trustForwardedHost && port === usual);
}

export const addressedBy = ({ scheme, authority, headers }: GatewayRequest): Addressed => ({
  ...{ scheme, authority, forwardedHost: headers.forwardedHost },
});

/** The URL of a backend's MCP endpoint: what clients are configured with, and the `resource` of its metadata. */
export const endpointUrl = (base: string, backend: string): string => `${base}${endpointPath(backend)}`;

export const endpointPath = (backend: string): string => `/adapters/${backend}/mcp`;

/** RFC 9728, section 3.1: the well-known part stands between host and path. A base with a path of its own keeps it behind. */
export function metadataUrl(base: string, endpoint: string): string {
  const path = basePath(base);
  const origin = base.slice(0, base.length - path.length);
  return `${origin}${RESOURCE_METADATA}${path}${endpoint}`;
}

/** The path of a base URL; mostly empty. */
export function basePath(base: string): string {
  const slash = base.indexOf('/', base.indexOf('://') + 3);
  return slash < 0 ? '' : base.slice(slash);
}

/** Where the control plane is an MCP server. */
export const ADMIN_ENDPOINT = '/admin/mcp';

export const RESOURCE_METADATA = '/.well-known/oauth-protected-resource';
