// Finds out where the users of a gateway log in with a code: RFC 9728 of the gateway, then RFC 8414 of an authorization server that it names.

import { z } from 'zod';
import { endpointProblem } from '../config/issuer-spec.ts';

const MAX_SERVERS = 8;

export interface DeviceServer {
  /** RFC 8707: what tokens are asked for. */
  readonly resource: string;
  /** The endpoints. */
  readonly device: string;
  readonly tokens: string;
}

/** GET, or POST of a form. `json` is undefined for what is no JSON. Rejects with one line when nobody answers. */
export type ReadAnswer = (
  url: string,
  form?: Readonly<Record<string, string>>,
) => Promise<{ readonly status: number; readonly json: unknown }>;

const resourceMetadata = z.object({ resource: z.url(), authorization_servers: z.array(z.url()).min(1) });
const serverMetadata = z.object({ issuer: z.string(), device_authorization_endpoint: z.string(), token_endpoint: z.string() });

/** @param base of the gateway, without a slash at its end. @throws Error with one line. */
export async function findDeviceServer(base: string, read: ReadAnswer): Promise<DeviceServer> {
  const { resource, authorization_servers: issuers } = await resourceOf(base, read);
  // RFC 9728, section 3.3: a token for somebody else is none that this gateway should get to see.
  if (withoutSlash(new URL(resource).href) !== base)
    throw new Error(
      `${base} calls itself ${resource}, for which it gets no token: set MCP_GATEWAY_URL to that if it is the gateway you mean`,
    );
  const failures: string[] = [];
  for (const issuer of issuers.slice(0, MAX_SERVERS)) {
    const found = await endpointsOf(issuer, read).catch((error: Error) => error.message);
    if (typeof found !== 'string') return { resource, ...found };
    failures.push(found);
  }
  throw new Error(failures.join('; '));
}

async function resourceOf(base: string, read: ReadAnswer): Promise<z.output<typeof resourceMetadata>> {
  const { origin, pathname } = new URL(base);
  const path = withoutSlash(pathname);
  const wellKnown = '/.well-known/oauth-protected-resource';
  // RFC 9728 puts the path last; a proxy in front may pass on only what begins with it.
  for (const url of new Set([`${origin}${wellKnown}${path}`, `${base}${wellKnown}`])) {
    const { success, data } = resourceMetadata.safeParse((await read(url)).json);
    if (success) return data;
  }
  throw new Error(`${base} does not say where to log in`);
}

async function endpointsOf(issuer: string, read: ReadAnswer): Promise<Pick<DeviceServer, 'device' | 'tokens'>> {
  expectSecure(issuer);
  for (const url of metadataUrls(issuer)) {
    const { status, json } = await read(url);
    if (status !== 200) continue;
    const named = z.object({ issuer: z.string() }).safeParse(json).data?.issuer;
    // A document of another issuer may be somebody else's.
    if (named !== undefined && named !== issuer) throw new Error(`${url} is of another issuer, ${named}`);
    const { success, data } = serverMetadata.safeParse(json);
    if (!success) throw new Error(`${issuer} has no login with a code: set MCP_GATEWAY_TOKEN`);
    const { device_authorization_endpoint: device, token_endpoint: tokens } = data;
    expectSecure(device);
    expectSecure(tokens);
    return { device, tokens };
  }
  throw new Error(`${issuer} does not say how to log in`);
}

/** Whoever is on the way could read codes and tokens, and use them. @throws Error */
export function expectSecure(url: string): void {
  const problem = endpointProblem(url);
  if (problem !== undefined) throw new Error(`${url} ${problem}: others could read codes and tokens`);
}

/** OpenID Connect Discovery, section 4; RFC 8414, section 3. */
function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = withoutSlash(pathname);
  return [`${origin}${path}/.well-known/openid-configuration`, `${origin}/.well-known/oauth-authorization-server${path}`];
}

const withoutSlash = (text: string): string => text.replace(/\/+$/, '');
