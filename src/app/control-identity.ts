// Who asks for the REST interface on the gateway's own URL: a caller with a token of an issuer, or where there is none, the owner of this home.

import type { IncomingMessage } from 'node:http';
import { tokenHolder } from '../api/admin-server.ts';
import { type ApiAnswer, problem } from '../api/answer.ts';
import type { Settings } from '../config/settings.ts';
import type { Actor, Rank } from '../control/actor.ts';
import type { Directory } from '../directory/directory.ts';
import type { Caller, Identify } from '../gateway/caller.ts';
import { clientHost, type PublicUrlRules } from '../gateway/public-url.ts';
import type { GatewayRequest } from '../gateway/request.ts';
import { isServed, loopbackHosts } from '../gateway/shape.ts';
import { servedHosts } from './sidecar-options.ts';

export interface ControlIdentityOptions {
  readonly settings: Settings;
  readonly identify: Identify;
  readonly directory: Pick<Directory, 'snapshot'>;
  readonly publicUrl: PublicUrlRules;
  readonly token: string;
}

export type ControlIdentity = (request: IncomingMessage, signal: AbortSignal) => Actor | ApiAnswer | Promise<Actor | ApiAnswer>;

const SAID: Readonly<Record<number, string>> = {
  400: 'a token must not be sent in the URL: use the Authorization header',
  401: 'a token of one of the gateway’s issuers is needed, as Authorization: Bearer …',
  403: 'the token is good, but belongs to no tenant and has no role here',
  503: 'the identity provider cannot be reached at the moment: try again',
};

export function createControlIdentity({ settings, identify, directory, publicUrl, token }: ControlIdentityOptions): ControlIdentity {
  const edge = { hosts: loopbackHosts(servedHosts(settings)) };
  const byToken = tokenHolder(token);
  const roles = { admin: new Set(settings.adminRoles), operator: new Set(settings.operatorRoles), viewer: new Set(settings.viewerRoles) };
  const rankOf = (caller: Caller): Rank => {
    const has = (wanted: ReadonlySet<string>) => caller.roles.some((role) => wanted.has(role));
    return has(roles.admin) ? 'admin' : has(roles.operator) ? 'operator' : has(roles.viewer) ? 'viewer' : undefined;
  };
  const actorOf = (found: Awaited<ReturnType<Identify>>): Actor | ApiAnswer => {
    if (!('kind' in found)) return { ...found, rank: rankOf(found) };
    const { status, headers } = found;
    const kept = headers.filter(([name]) => name === 'www-authenticate' || name === 'retry-after');
    return problem(status, SAID[status] ?? 'this caller is refused', Object.fromEntries(kept));
  };

  return (request, signal) => {
    const seen = asSeenByEnvoy(request, signal);
    const forwarded = publicUrl.trustForwardedHost ? seen.headers.forwardedHost : undefined;
    // Envoy has only looked at the name in the Host header.
    if (!isServed(clientHost(seen.authority, forwarded), edge)) return problem(403, 'this Host is not served');
    // Nobody is asked for a token on this machine, but what runs code is for whoever may read the home folder only.
    if (settings.issuers.length === 0) return byToken(request.headers.authorization);
    const found = identify(seen, undefined, directory.snapshot());
    return found instanceof Promise ? found.then(actorOf) : actorOf(found);
  };
}

const one = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);

function asSeenByEnvoy({ method = '', url = '', headers }: IncomingMessage, signal: AbortSignal): GatewayRequest {
  return {
    id: one(headers['x-request-id']) ?? '',
    method,
    path: url,
    authority: headers.host ?? '',
    scheme: one(headers['x-forwarded-proto']) === 'https' ? 'https' : 'http',
    headers: {
      ...{ sessionId: undefined, protocolVersion: undefined, mcpMethod: undefined, mcpName: undefined, origin: headers.origin },
      ...{ accept: headers.accept, contentType: undefined, contentEncoding: undefined, lastEventId: undefined, requestedMethod: undefined },
      ...{ rebound: undefined, repeated: false },
      authorization: headers.authorization,
      forwardedHost: one(headers['x-forwarded-host']),
    },
    body: Buffer.alloc(0),
    bodyComplete: true,
    signal,
    gone: false,
  };
}
