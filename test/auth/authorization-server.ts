// Runs a real authorization server as its own process, and logs in at it as a browser would.

import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { addressOf } from '../harness/server-process.ts';
import { node24, toolsDir } from '../setup/tools.ts';

const SERVER = fileURLToPath(new URL('../servers/authorization-server.ts', import.meta.url));
const REDIRECT_URI = 'http://127.0.0.1:1/callback';
const MAX_REDIRECTS = 20;

/** What a token is asked for. */
export interface TokenWish {
  /** RFC 8707: becomes `aud`. Without one the token is opaque. */
  readonly resource: string;
  readonly scopes?: readonly string[];
  /** Whoever logs in. Without one the token is for the client `machine` itself (client credentials). */
  readonly account?: string;
  readonly ttlSeconds?: number;
  readonly alg?: 'RS256' | 'ES256' | 'EdDSA';
}

export interface Tokens {
  readonly access_token: string;
  readonly refresh_token?: string;
  readonly scope?: string;
  readonly expires_in: number;
}

/** The switches of test/servers/authorization-server.ts, and what it was asked for so far. */
export interface ControlWish {
  readonly accounts?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly keys?: 'ok' | 'down' | 'hang' | 'garbage';
  readonly rotate?: 'keep' | 'drop';
  readonly tokenSeconds?: number;
  readonly deviceCodeSeconds?: number;
}
export interface Asked {
  readonly keys: number;
  readonly metadata: number;
  readonly tokens: number;
}

export interface AuthorizationServer {
  /** `http://127.0.0.1:PORT`, without a slash at its end. */
  readonly issuer: string;
  readonly pid: number;
  /** An access token: the whole code flow for an account, one request for the machine. */
  token(wish: TokenWish): Promise<string>;
  /** The code flow with PKCE and a client that has just registered itself. */
  login(wish: TokenWish & { readonly account: string }): Promise<Tokens & { readonly clientId: string }>;
  /** A new access token for a refresh token. */
  refresh(of: { readonly clientId: string; readonly refresh_token: string }, wish?: Partial<TokenWish>): Promise<Tokens>;
  /** Follows an authorization URL as a browser that says yes to everything, up to the client's own redirect URL, which is not asked for. */
  approve(authorizationUrl: string | URL): Promise<URL>;
  /** Opens the page of a code for a device as a browser does, and says yes there, or no. */
  confirmDevice(verificationUri: string | URL, answer?: 'yes' | 'no'): Promise<void>;
  control(wish?: ControlWish): Promise<Asked>;
  stop(): Promise<void>;
}

/** Starts one on a free port, or on `port`: then a stopped one comes back, with new keys. */
export async function startAuthorizationServer({
  scopes,
  port = 0,
}: {
  scopes?: readonly string[];
  port?: number;
} = {}): Promise<AuthorizationServer> {
  const provider = createRequire(join(toolsDir(), 'package.json')).resolve('oidc-provider');
  const child = spawn(node24(), ['--disable-warning=ExperimentalWarning', SERVER], {
    env: { ...process.env, PORT: String(port), OIDC_PROVIDER: pathToFileURL(provider).href, ...(scopes && { SCOPES: scopes.join(' ') }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // Its notes about settings that would not do in production; what matters is in the answers.
  child.stderr.resume();
  const issuer = await addressOf(child, 'authorization-server');

  const login: AuthorizationServer['login'] = async (wish) => {
    const clientId = await register(issuer);
    const verifier = randomBytes(32).toString('base64url');
    const query = new URLSearchParams({
      client_id: clientId,
      response_type: 'code',
      redirect_uri: REDIRECT_URI,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      resource: wish.resource,
      ...(wish.scopes && { scope: wish.scopes.join(' ') }),
      login_hint: wish.account,
    });
    const code = (await approve(`${issuer}/auth?${query.toString()}`)).searchParams.get('code');
    if (code === null) throw new Error('the authorization server gave no code');
    const form = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: verifier, client_id: clientId };
    return { ...(await askForTokens(issuer, { ...form, resource: wish.resource }, wish)), clientId };
  };

  return {
    issuer,
    pid: child.pid as number,
    login,
    approve,
    confirmDevice,
    async token(wish) {
      if (wish.account !== undefined) return (await login({ ...wish, account: wish.account })).access_token;
      const form = { grant_type: 'client_credentials', client_id: 'machine', client_secret: 'machine', resource: wish.resource };
      return (await askForTokens(issuer, { ...form, ...(wish.scopes && { scope: wish.scopes.join(' ') }) }, wish)).access_token;
    },
    refresh: ({ clientId, refresh_token }, wish = {}) =>
      askForTokens(issuer, { grant_type: 'refresh_token', refresh_token, client_id: clientId }, wish),
    async control(wish) {
      const answer = await fetch(`${issuer}/control`, wish && { method: 'POST', body: JSON.stringify(wish) });
      return (await answer.json()) as Asked;
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    },
  };
}

async function register(issuer: string): Promise<string> {
  const client = {
    redirect_uris: [REDIRECT_URI],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  const answer = await fetch(`${issuer}/reg`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(client),
  });
  return ((await answer.json()) as { client_id: string }).client_id;
}

async function askForTokens(issuer: string, form: Record<string, string>, { ttlSeconds, alg }: Partial<TokenWish>): Promise<Tokens> {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { ...(ttlSeconds !== undefined && { 'x-test-ttl': String(ttlSeconds) }), ...(alg && { 'x-test-alg': alg }) },
    body: new URLSearchParams(form),
  });
  const body: unknown = await answer.json();
  if (!answer.ok) throw new Error(`the authorization server refused: ${JSON.stringify(body)}`);
  return body as Tokens;
}

async function approve(authorizationUrl: string | URL): Promise<URL> {
  const page = await openPage(authorizationUrl);
  if (page.text !== undefined) throw new Error(`${page.url.pathname} answered ${page.status}: ${page.text}`);
  return page.url;
}

/** One page has the code filled in, the next one asks whether it is the right one. */
async function confirmDevice(verificationUri: string | URL, answer: 'yes' | 'no' = 'yes'): Promise<void> {
  const cookies = new Map<string, string>();
  const filledIn = await openPage(verificationUri, cookies);
  const question = await openPage(filledIn.url, cookies, formIn(filledIn));
  const last = await openPage(question.url, cookies, { ...formIn(question), ...(answer === 'no' && { abort: 'yes' }) });
  const expected = answer === 'yes' ? 'Sign-in Success' : 'was interrupted';
  if (!last.text?.includes(expected)) throw new Error(`${last.url.pathname} answered ${last.status}: ${last.text}`);
}

interface Page {
  readonly url: URL;
  readonly status: number;
  /** Undefined for another server's page, which is not asked for. */
  readonly text: string | undefined;
}

function formIn({ url, status, text = '' }: Page): Record<string, string> {
  const inputs = [...text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)];
  if (inputs.length === 0) throw new Error(`${url.pathname} answered ${status} without a form: ${text}`);
  return Object.fromEntries(inputs.map(([, name = '', value = '']) => [name, value]));
}

/** Follows redirects, with cookies. @param form is posted. */
async function openPage(url: string | URL, cookies = new Map<string, string>(), form?: Readonly<Record<string, string>>): Promise<Page> {
  const { origin } = new URL(url);
  let at = new URL(url);
  for (let redirects = 0; redirects < MAX_REDIRECTS; redirects += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const posted = form && redirects === 0 ? { method: 'POST', body: new URLSearchParams(form) } : {};
    const answer = await fetch(at, { redirect: 'manual', headers: { cookie }, ...posted });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') cookies.delete(name);
      else cookies.set(name, value);
    }
    const location = answer.headers.get('location');
    if (location === null) return { url: at, status: answer.status, text: await answer.text() };
    await answer.body?.cancel();
    at = new URL(location, at);
    if (at.origin !== origin) return { url: at, status: answer.status, text: undefined };
  }
  throw new Error('the authorization server redirects without end');
}
