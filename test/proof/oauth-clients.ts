// Unmodified SDK clients that log in by OAuth, behind one small face, with a note of every request that they send.

import {
  Client as NewClient,
  StreamableHTTPClientTransport as NewTransport,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
} from '@modelcontextprotocol/client';
import { auth } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { AuthorizationServer } from '../auth/authorization-server.ts';
import { createSdkLogin, type SdkLogin } from '../auth/sdk-login.ts';

export interface OAuthClient {
  readonly login: SdkLogin;
  /** `POST /adapters/x/mcp 200`, in the order of the answers. */
  readonly seen: string[];
  /** Of access tokens that are asked for from now on, in seconds; undefined: an hour. */
  ttl: number | undefined;
  sessionId(): string | undefined;
  /** @returns the text of the result. */
  call(tool: string, args?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Replaces the access token before it ends. */
  refresh(): Promise<void>;
  /** After an error that says that the user has to log in: they have. */
  finishLogin(): Promise<void>;
  close(): Promise<void>;
}

export interface OAuthClientOptions {
  readonly url: string;
  readonly server: AuthorizationServer;
  /** Without refresh tokens. */
  readonly forgetful?: boolean;
}

/** Connects, which takes a login: the first attempt fails, as the client cannot show a page to anybody. */
export type ConnectOAuth = (options: OAuthClientOptions) => Promise<OAuthClient>;

interface Attempt {
  connect(): Promise<void>;
  finish(login: SdkLogin): Promise<void>;
  sessionId(): string | undefined;
  call(tool: string, args: Record<string, unknown>): Promise<unknown>;
  close(): Promise<void>;
}

type Attempts = (url: URL, authProvider: SdkLogin, fetchNoted: typeof fetch) => Attempt;

const connectWith =
  (attempt: Attempts): ConnectOAuth =>
  async ({ url, server, forgetful = false }) => {
    const known = createSdkLogin(server);
    const grants = { grant_types: ['authorization_code'] };
    const login: SdkLogin = forgetful ? { ...known, clientMetadata: { ...known.clientMetadata, ...grants } } : known;
    const seen: string[] = [];
    const state: { ttl: number | undefined } = { ttl: undefined };
    const fetchNoted: typeof fetch = async (input, init) => {
      const { pathname } = new URL(input instanceof Request ? input.url : input);
      const headers = new Headers(init?.headers);
      if (pathname === '/token' && state.ttl !== undefined) headers.set('x-test-ttl', String(state.ttl));
      const answer = await fetch(input, { ...init, headers });
      seen.push(`${init?.method ?? 'GET'} ${pathname} ${answer.status}`);
      return answer;
    };
    const first = attempt(new URL(url), login, fetchNoted);
    const reason = await first.connect().then(
      () => 'connected',
      (error: Error) => error.constructor.name,
    );
    if (reason !== 'UnauthorizedError') throw new Error(`connected without a login, or failed otherwise: ${reason}`);
    await first.finish(login);
    await first.close();
    const { connect, finish, sessionId, call, close } = attempt(new URL(url), login, fetchNoted);
    await connect();
    return Object.assign(state, {
      login,
      seen,
      sessionId,
      close,
      finishLogin: () => finish(login),
      async refresh() {
        const outcome = await auth(login, { serverUrl: url, fetchFn: fetchNoted });
        if (outcome !== 'AUTHORIZED') throw new Error(`not refreshed: ${outcome}`);
      },
      async call(tool: string, args: Readonly<Record<string, unknown>> = {}) {
        const { content, isError } = (await call(tool, { ...args })) as { content?: { text?: string }[]; isError?: boolean };
        const text = content?.[0]?.text;
        if (isError === true || text === undefined) throw new Error(`the tool failed: ${JSON.stringify(content)}`);
        return text;
      },
    });
  };

/** `@modelcontextprotocol/sdk` 1.x. */
export const connectSdk1: ConnectOAuth = connectWith((url, authProvider, fetchNoted) => {
  const client = new Client({ name: 'sdk-1', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(url, { authProvider, fetch: fetchNoted });
  return {
    connect: () => client.connect(transport as Parameters<Client['connect']>[0]),
    finish: (login) => transport.finishAuth(login.takeCode()),
    sessionId: () => transport.sessionId,
    call: (name, args) => client.callTool({ name, arguments: args }),
    close: () => client.close(),
  };
});

/** `@modelcontextprotocol/client` 2.x, which finds out by itself what the server speaks, or speaks the modern protocol only. */
export const connectSdk2 = (mode: 'auto' | { readonly pin: string }): ConnectOAuth =>
  connectWith((url, authProvider, fetchNoted) => {
    const client = new NewClient({ name: 'sdk-2', version: '1.0.0' }, { versionNegotiation: { mode } });
    // Without these it says on every login that it would rather have them.
    let discovered: OAuthDiscoveryState | undefined;
    const provider: OAuthClientProvider = {
      ...authProvider,
      discoveryState: () => discovered,
      saveDiscoveryState(state) {
        discovered = state;
      },
    };
    const transport = new NewTransport(url, { authProvider: provider, fetch: fetchNoted });
    return {
      connect: () => client.connect(transport),
      finish: (login) => transport.finishAuth(login.takeCallback()),
      sessionId: () => transport.sessionId,
      call: (name, args) => client.callTool({ name, arguments: args }),
      close: () => client.close(),
    };
  });
