// Checks a token's signature with the keys of its issuer.

import { compactVerify } from 'jose';
import type { Claims } from './claims.ts';
import type { TokenFault } from './identity.ts';
import type { KeySet } from './key-set.ts';
import { quoted, tokenFault } from './token-fault.ts';
import { parseObject, type TokenParts } from './token-parts.ts';

/** The claims that were signed, and the key that signed them. */
export interface Proof {
  readonly claims: Claims;
  readonly keyId: string;
}

export async function checkSignature(token: string, { alg, kid }: TokenParts, keys: KeySet): Promise<Proof | TokenFault> {
  const candidates = keys.candidates(alg, kid);
  if (candidates.length === 0) return tokenFault('unknown_key', `kid ${quoted(kid)}, alg ${quoted(alg)}`);
  for (const candidate of candidates) {
    try {
      // The algorithm is named once more, so that the header alone never decides (RFC 8725, section 3.1).
      const { payload } = await compactVerify(token, await candidate.forAlgorithm(alg), { algorithms: [alg] });
      const claims = parseObject(payload);
      return claims === undefined ? tokenFault('token_malformed', 'the payload is no JSON object') : { claims, keyId: candidate.id };
    } catch {
      // Not this key, or none at all: a key set is read from afar.
    }
  }
  return tokenFault('bad_signature', `kid ${quoted(kid)}, alg ${quoted(alg)}`);
}
