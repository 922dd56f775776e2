// Takes a token apart and refuses what is no signed JWT, before any key is looked at.

import { type Claims, isObject } from './claims.ts';
import type { TokenFault } from './identity.ts';
import { quoted, tokenFault } from './token-fault.ts';

const MAX_TOKEN_LENGTH = 16_384;
const BASE64URL = /^[A-Za-z0-9_-]+$/;
/** RFC 9068 and RFC 7519. Other kinds of JWT – logout tokens, DPoP proofs – are no access tokens, however well they are signed. */
const ACCEPTED_TYPES: ReadonlySet<unknown> = new Set([undefined, 'jwt', 'at+jwt', 'application/jwt', 'application/at+jwt']);

/** What a token says of itself. Nothing of it may be believed yet. */
export interface TokenParts {
  readonly alg: string;
  readonly kid: string | undefined;
  readonly claims: Claims;
}

/**
 * Of the header only `alg`, `kid`, `typ` and `crit` are read: keys that a token brings along or points at (`jwk`, `x5c`, `jku`, `x5u`)
 * are the sender's own (RFC 8725, section 3.10).
 */
export function readToken(token: string): TokenParts | TokenFault {
  if (token.length > MAX_TOKEN_LENGTH) return tokenFault('token_too_large', `${token.length} characters`);
  const parts = token.split('.', 4);
  if (parts.length !== 3) return tokenFault('token_malformed', 'not three parts');
  const header = readObject(parts[0]);
  if (header === undefined) return tokenFault('token_malformed', 'the header is no JSON object');
  const { alg, kid, typ, crit } = header;
  if (typeof alg !== 'string') return tokenFault('token_malformed', 'the header has no alg');
  if (kid !== undefined && typeof kid !== 'string') return tokenFault('token_malformed', 'kid is not a text');
  // Extensions that must be understood (RFC 7515, section 4.1.11): we know none.
  if (crit !== undefined) return tokenFault('token_malformed', 'the header has crit');
  if (!ACCEPTED_TYPES.has(typeof typ === 'string' ? typ.toLowerCase() : typ)) {
    return tokenFault('token_malformed', `typ ${quoted(typ)} is no access token`);
  }
  const claims = readObject(parts[1]);
  if (claims === undefined) return tokenFault('token_malformed', 'the payload is no JSON object');
  return { alg, kid, claims };
}

function readObject(part: string | undefined): Claims | undefined {
  if (part === undefined || !BASE64URL.test(part)) return undefined;
  return parseObject(Buffer.from(part, 'base64url'));
}

/** Undefined when the bytes are no JSON object. */
export function parseObject(bytes: Uint8Array): Claims | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
