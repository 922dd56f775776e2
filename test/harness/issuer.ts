// An issuer for tests that need many different callers quickly: real keys on a real socket, tokens signed on the spot.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createTestKey, signToken, type TestKey } from '../fixtures/tokens/keys.ts';

export interface TestIssuer {
  /** `http://127.0.0.1:PORT/`. */
  readonly issuer: string;
  /** Environment of a gateway that trusts it, with the audience `mcp`. */
  readonly env: Readonly<Record<string, string>>;
  /** A good token for five minutes; `claims` replaces some of it, and one that is undefined is left out. */
  token(subject: string, claims?: Readonly<Record<string, unknown>>): string;
  /** The header with such a token. */
  bearer(subject: string, claims?: Readonly<Record<string, unknown>>): { readonly authorization: string };
  /** From now on a new key signs; the old ones are published still, or not. */
  rotate(old: 'kept' | 'dropped'): Promise<void>;
  /** What becomes of requests for keys. */
  answer(how: 'ok' | 'error' | 'never' | 'garbage'): void;
  /** Requests for keys so far. */
  readonly asked: () => number;
  stop(): Promise<void>;
}

/** `spec` adds to the issuer's entry in the settings. */
export async function startIssuer(spec: Readonly<Record<string, unknown>> = {}): Promise<TestIssuer> {
  let generation = 1;
  let signing: TestKey = await createTestKey('ES256', 'key-1');
  let published: readonly TestKey[] = [signing];
  let how: Parameters<TestIssuer['answer']>[0] = 'ok';
  let asked = 0;
  const server = createServer((request, response) => {
    if (request.url === '/.well-known/openid-configuration') {
      response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}keys` }));
    } else if (request.url === '/keys') {
      asked += 1;
      if (how === 'error') response.writeHead(500).end();
      else if (how === 'garbage') response.end('<html>');
      else if (how === 'ok') response.end(JSON.stringify({ keys: published.map(({ jwk }) => jwk) }));
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const token: TestIssuer['token'] = (subject, claims = {}) => {
    const iat = Math.floor(Date.now() / 1000);
    return signToken(signing, { iss: issuer, sub: subject, aud: 'mcp', iat, exp: iat + 300, ...claims });
  };
  return {
    issuer,
    env: { MCP_GATEWAY_ISSUERS: JSON.stringify([{ issuer, audiences: ['mcp'], ...spec }]) },
    token,
    bearer: (subject, claims) => ({ authorization: `Bearer ${token(subject, claims)}` }),
    async rotate(old) {
      generation += 1;
      signing = await createTestKey('ES256', `key-${generation}`);
      published = old === 'kept' ? [...published, signing] : [signing];
    },
    answer(next) {
      how = next;
    },
    asked: () => asked,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
