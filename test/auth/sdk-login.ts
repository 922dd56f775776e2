// The SDK's OAuth provider with a user who says yes: the code is there as soon as the SDK has asked for it.

import type { OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';
import type { AuthorizationServer } from './authorization-server.ts';

const REDIRECT_URL = 'http://127.0.0.1:1/callback';

export interface SdkLogin extends OAuthClientProvider {
  /** What the SDK would send; empty when it has to log in. */
  accessToken(): string;
  /** As if they had never been there. */
  forgetTokens(): void;
  /** The code of the last redirect, for `finishAuth`. Throws when there was none. */
  takeCode(): string;
  /** All that the last redirect brought, for clients that want to see more than the code. */
  takeCallback(): URLSearchParams;
}

/** A client that has not registered yet; `account` is who logs in. */
export function createSdkLogin({ approve }: AuthorizationServer, account = 'ann'): SdkLogin {
  let held: OAuthTokens | undefined;
  let client: OAuthClientInformationMixed | undefined;
  let verifier = '';
  let callback: URLSearchParams | undefined;
  const takeCallback = (): URLSearchParams => {
    const taken = callback;
    callback = undefined;
    if (taken?.get('code') == null) throw new Error('the authorization server gave no code');
    return taken;
  };
  return {
    accessToken: () => held?.access_token ?? '',
    forgetTokens() {
      held = undefined;
    },
    redirectUrl: REDIRECT_URL,
    clientMetadata: {
      client_name: 'test client',
      redirect_uris: [REDIRECT_URL],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    clientInformation: () => client,
    saveClientInformation(information) {
      client = information;
    },
    tokens: () => held,
    saveTokens(tokens) {
      held = tokens;
    },
    codeVerifier: () => verifier,
    saveCodeVerifier(text) {
      verifier = text;
    },
    async redirectToAuthorization(url) {
      url.searchParams.set('login_hint', account);
      callback = (await approve(url)).searchParams;
    },
    takeCode: () => takeCallback().get('code') as string,
    takeCallback,
  };
}
