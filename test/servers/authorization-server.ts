// An authorization server – `oidc-provider` – in which everybody logs in without being asked, with switches for keys and faults.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { listen } from './listen.ts';
import { readBody } from './request-body.ts';

/**
 * Runs on Node 22 or newer, which oidc-provider needs. OIDC_PROVIDER: its file URL · SCOPES: of all resources, with spaces between.
 * Who logs in is said by `login_hint`, else `ann`. The client `machine` with the secret `machine` gets tokens by client credentials, and
 * the public client `cli` by a code for devices.
 * Headers of token requests: `x-test-ttl` in seconds, `x-test-alg`. `POST /control` takes a `Control`, `GET /control` tells what was asked for.
 */
interface Control {
  /** Claims that tokens of an account, or of `machine`, carry besides their own. */
  readonly accounts?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** What the key endpoint does from now on. */
  readonly keys?: 'ok' | 'down' | 'hang' | 'garbage';
  /** Signs with new keys from now on; `keep` goes on publishing the old ones. */
  readonly rotate?: 'keep' | 'drop';
  /** How long the next tokens are good, unless their request says it, and the next codes for devices. */
  readonly tokenSeconds?: number;
  readonly deviceCodeSeconds?: number;
}

/** As much of oidc-provider as is used here; it brings no types. */
interface Interaction {
  readonly prompt: { readonly name: string; readonly details: ConsentDetails };
  readonly params: Readonly<Record<string, string | undefined>>;
  readonly session?: { readonly accountId: string };
  readonly grantId?: string;
}
interface ConsentDetails {
  readonly missingOIDCScope?: readonly string[];
  readonly missingOIDCClaims?: readonly string[];
  readonly missingResourceScopes?: Readonly<Record<string, readonly string[]>>;
}
interface Grant {
  addOIDCScope(scope: string): void;
  addOIDCClaims(claims: readonly string[]): void;
  addResourceScope(resource: string, scope: string): void;
  save(): Promise<string>;
}
interface Provider {
  readonly Grant: (new (of: { accountId: string; clientId: string }) => Grant) & { find(id: string): Promise<Grant | undefined> };
  callback(): (req: IncomingMessage, res: ServerResponse) => void;
  interactionDetails(req: IncomingMessage, res: ServerResponse): Promise<Interaction>;
  interactionFinished(req: IncomingMessage, res: ServerResponse, result: object): Promise<void>;
}
interface TokenContext {
  get(header: string): string;
}

const env = process.env;
const { Provider } = (await import(env['OIDC_PROVIDER'] ?? '')) as {
  Provider: new (issuer: string, setup: object) => Provider;
};
const scopes = (env['SCOPES'] ?? 'mcp:read mcp:write').split(' ');
const cookieKey = randomUUID();
const HOUR_S = 3600;

let tokenSeconds = HOUR_S;
let deviceCodeSeconds = HOUR_S;
let accounts: NonNullable<Control['accounts']> = {};
let keyEndpoint: NonNullable<Control['keys']> = 'ok';
let published = newKeys();
let current: Provider | undefined;
const asked = { keys: 0, metadata: 0, tokens: 0 };

function newKeys(): object[] {
  const pairs = [
    { alg: 'RS256', pair: generateKeyPairSync('rsa', { modulusLength: 2048 }) },
    { alg: 'ES256', pair: generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
    { alg: 'EdDSA', pair: generateKeyPairSync('ed25519') },
  ];
  return pairs.map(({ alg, pair }) => ({ ...pair.privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() }));
}

/** Another provider object for other keys: clients, grants and sessions are in a store that all of a process share. */
function openProvider(): Provider {
  return new Provider(issuer(), {
    jwks: { keys: published },
    cookies: { keys: [cookieKey] },
    scopes: ['openid', 'offline_access', ...scopes],
    clients: [
      {
        client_id: 'machine',
        client_secret: 'machine',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
      },
      {
        client_id: 'cli',
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      registration: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        // A token request that names no resource gets a token for the one that was granted.
        useGrantedResource: () => true,
        getResourceServerInfo: (ctx: TokenContext, resource: string) => ({
          scope: scopes.join(' '),
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: Number(ctx.get('x-test-ttl') || tokenSeconds),
          jwt: { sign: { alg: ctx.get('x-test-alg') || 'RS256' } },
        }),
      },
    },
    interactions: { url: (_ctx: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_ctx: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId, ...accounts[accountId] }) }),
    extraTokenClaims: (_ctx: unknown, token: { accountId?: string; clientId: string }) => accounts[token.accountId ?? token.clientId],
    // MCP clients ask for refresh tokens by their grant types, not by `offline_access`.
    issueRefreshToken: (_ctx: unknown, client: { grantTypeAllowed(type: string): boolean }) => client.grantTypeAllowed('refresh_token'),
    ttl: {
      Session: HOUR_S,
      Grant: HOUR_S,
      Interaction: HOUR_S,
      RefreshToken: HOUR_S,
      IdToken: HOUR_S,
      DeviceCode: () => deviceCodeSeconds,
    },
  });
}

function issuer(): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Says yes in the user's place. */
async function interact(provider: Provider, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { prompt, params, session, grantId } = await provider.interactionDetails(req, res);
  if (prompt.name === 'login') {
    return provider.interactionFinished(req, res, { login: { accountId: params['login_hint'] ?? 'ann' } });
  }
  const known = grantId === undefined ? undefined : await provider.Grant.find(grantId);
  const grant = known ?? new provider.Grant({ accountId: session?.accountId ?? '', clientId: params['client_id'] ?? '' });
  const { missingOIDCScope = [], missingOIDCClaims = [], missingResourceScopes = {} } = prompt.details;
  grant.addOIDCScope(missingOIDCScope.join(' '));
  grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, missing] of Object.entries(missingResourceScopes)) grant.addResourceScope(resource, missing.join(' '));
  return provider.interactionFinished(req, res, { consent: { grantId: await grant.save() } });
}

async function control(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.method === 'POST') {
    const wish = JSON.parse((await readBody(req)).toString('utf8')) as Control;
    accounts = { ...accounts, ...wish.accounts };
    keyEndpoint = wish.keys ?? keyEndpoint;
    tokenSeconds = wish.tokenSeconds ?? tokenSeconds;
    deviceCodeSeconds = wish.deviceCodeSeconds ?? deviceCodeSeconds;
    if (wish.rotate !== undefined) {
      published = [...newKeys(), ...(wish.rotate === 'keep' ? published : [])];
      current = undefined;
    }
  }
  res.setHeader('content-type', 'application/json').end(JSON.stringify(asked));
}

async function registrationWithoutScope(req: IncomingMessage): Promise<object> {
  const metadata = JSON.parse((await readBody(req)).toString('utf8')) as Record<string, unknown>;
  const { scope: _, ...others } = metadata;
  return others;
}

async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { pathname: path, searchParams } = new URL(req.url ?? '', issuer());
  if (path === '/control') return control(req, res);
  // Without a scope there is a default one (RFC 6749, section 3.3), where oidc-provider would refuse.
  if (path === '/auth' && !searchParams.get('scope')) req.url = `${req.url}&scope=openid`;
  // A client that registers with the scopes of today may ask for more tomorrow: registration leaves them open (RFC 7591, section 3.2.1).
  if (path === '/reg' && req.method === 'POST') Object.assign(req, { body: await registrationWithoutScope(req) });
  current ??= openProvider();
  if (path.startsWith('/interaction/')) return interact(current, req, res);
  if (path.startsWith('/.well-known/')) asked.metadata += 1;
  if (path === '/token') asked.tokens += 1;
  if (path === '/jwks') {
    asked.keys += 1;
    if (keyEndpoint === 'hang') return;
    if (keyEndpoint === 'down') return void res.writeHead(503).end();
    if (keyEndpoint === 'garbage') return void res.end('<html>');
  }
  current.callback()(req, res);
}

const server = createServer((req, res) => {
  handle(req, res).catch((error: unknown) => {
    console.error(error);
    res.destroy();
  });
});
await listen(server);
