// Verifies bearer tokens: a cached one at once, a new one with the keys of its issuer.

import { hash } from 'node:crypto';
import type { Logger } from 'pino';
import type { IssuerSpec } from '../config/issuer-spec.ts';
import { createBoundedCache } from '../core/bounded-cache.ts';
import type { Identity, TokenFault, TokenVerifier } from './identity.ts';
import { identityOf, timeFault } from './identity-of.ts';
import { createKeyLoader } from './key-loader.ts';
import type { KeySet } from './key-set.ts';
import { createKeySource, type KeySource } from './key-source.ts';
import { differentIssuer, differOnlyInSlash } from './metadata.ts';
import { checkSignature, type Proof } from './signature.ts';
import { quoted, tokenFault } from './token-fault.ts';
import { readToken, type TokenParts } from './token-parts.ts';

/** Some 3 KiB each, the claims included. */
const MAX_CACHED_TOKENS = 10_000;
/** Different tokens that are looked at in the same moment: more than this only when an issuer does not answer. */
const MAX_UNDER_WAY = 10_000;

export interface TokenVerifierOptions {
  readonly issuers: readonly IssuerSpec[];
  /** Gets a line when an issuer's keys change, cannot be read, or can again; never a token. */
  readonly log: Logger;
  readonly fetch?: typeof fetch;
  readonly now?: () => number;
  /** Called after each attempt to read an issuer's keys. */
  readonly onFetch?: (issuer: string, outcome: 'ok' | 'failed') => void;
  /** Of one attempt to read an issuer's keys. */
  readonly fetchTimeoutMs?: number;
}

interface Issuer {
  readonly spec: IssuerSpec;
  readonly algorithms: ReadonlySet<string>;
  readonly source: KeySource;
}

/** A token that was good. It stays so until its end, as long as its issuer publishes the key that signed it. */
interface Verified {
  readonly identity: Identity;
  readonly issuer: Issuer;
  readonly keyId: string;
  /** The keys among which `keyId` was found last. */
  keys: KeySet;
}

/**
 * Bad tokens are not remembered: the cheap checks come first, and a key that is published a moment later must count at once.
 * `aud` is left to the caller, who knows which backend is asked for; a token without any is refused.
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { issuers: specs, log, now = Date.now } = options;
  const issuers = new Map(specs.map((spec) => [spec.issuer, openIssuer(spec, options)]));
  const cache = createBoundedCache<string, Verified>(MAX_CACHED_TOKENS);
  const underWay = new Map<string, Promise<Identity | TokenFault>>();

  /** Undefined: it has to be verified anew. */
  const recall = (known: Verified): Identity | TokenFault | undefined => {
    const { identity, issuer, keyId } = known;
    if (now() >= identity.expiresAt + issuer.spec.leeway) return tokenFault('expired', 'while it was in use');
    const keys = issuer.source.current();
    if (keys === undefined) return undefined;
    if (keys !== known.keys) {
      if (!keys.ids.has(keyId)) return undefined;
      known.keys = keys;
    }
    return identity;
  };

  const prove = async (token: string, parts: TokenParts, issuer: Issuer): Promise<(Proof & { readonly keys: KeySet }) | TokenFault> => {
    const { source } = issuer;
    const keys = source.current() ?? (await source.settled());
    if (keys === undefined) return tokenFault('keys_unavailable', `none are known of ${quoted(issuer.spec.issuer)}`);
    const proof = await checkSignature(token, parts, keys);
    if (!('kind' in proof)) return { ...proof, keys };
    // A new key, maybe under an old name: some issuers begin to sign in the moment in which they publish.
    const newer = await source.again();
    if (newer !== undefined && newer !== keys) {
      const second = await checkSignature(token, parts, newer);
      return 'kind' in second ? second : { ...second, keys: newer };
    }
    if (proof.code === 'unknown_key' && source.failing()) {
      // It may be good: a client that is told otherwise would throw it away.
      return tokenFault('keys_unavailable', `${proof.detail} is not among the known ones of ${quoted(issuer.spec.issuer)}`);
    }
    return proof;
  };

  const verifyAnew = async (key: string, { token, parts, issuer }: Sighting): Promise<Identity | TokenFault> => {
    try {
      const proof = await prove(token, parts, issuer);
      if ('kind' in proof) return proof;
      const identity = timeFault(proof.claims, { now: now(), leeway: issuer.spec.leeway }) ?? identityOf(proof.claims, issuer.spec);
      if (!('kind' in identity)) cache.set(key, { identity, issuer, keyId: proof.keyId, keys: proof.keys });
      return identity;
    } catch (error) {
      log.error({ reason: (error as Error).message }, 'token could not be verified');
      return tokenFault('keys_unavailable', 'unexpected error');
    } finally {
      underWay.delete(key);
    }
  };

  /** Everything that can be said without a key. Nothing here is believed: it only spares work. */
  const firstLook = (token: string): Sighting | TokenFault => {
    const parts = readToken(token);
    if ('kind' in parts) return parts;
    const { iss } = parts.claims;
    if (iss === undefined) return tokenFault('missing_claim', 'iss is missing');
    const issuer = typeof iss === 'string' ? issuers.get(iss) : undefined;
    if (issuer === undefined) return tokenFault('unknown_issuer', unknownIssuer(iss, issuers.keys()));
    if (!issuer.algorithms.has(parts.alg)) return tokenFault('algorithm_not_allowed', `alg ${quoted(parts.alg)} of ${quoted(iss)}`);
    return timeFault(parts.claims, { now: now(), leeway: issuer.spec.leeway }) ?? { token, parts, issuer };
  };

  return {
    verify(token) {
      const key = hash('sha256', token, 'base64');
      const known = cache.get(key);
      const remembered = known && recall(known);
      if (remembered !== undefined) return remembered;
      const running = underWay.get(key);
      if (running !== undefined) return running;
      const sighting = firstLook(token);
      if ('kind' in sighting) return sighting;
      if (underWay.size >= MAX_UNDER_WAY) return tokenFault('keys_unavailable', `${MAX_UNDER_WAY} tokens wait already`);
      const verification = verifyAnew(key, sighting);
      underWay.set(key, verification);
      return verification;
    },
    close() {
      for (const { source } of issuers.values()) source.close();
      cache.clear();
    },
  };
}

interface Sighting {
  readonly token: string;
  readonly parts: TokenParts;
  readonly issuer: Issuer;
}

function openIssuer(spec: IssuerSpec, options: TokenVerifierOptions): Issuer {
  const { log, now = Date.now, fetch = globalThis.fetch, onFetch, fetchTimeoutMs } = options;
  const source = createKeySource({
    issuer: spec.issuer,
    load: createKeyLoader({ spec, fetch, now }),
    log,
    now,
    onFetch: onFetch && ((outcome) => onFetch(spec.issuer, outcome)),
    timeoutMs: fetchTimeoutMs,
  });
  return { spec, algorithms: new Set(spec.algorithms), source };
}

function unknownIssuer(iss: unknown, configured: Iterable<string>): string {
  const near = typeof iss === 'string' ? [...configured].find((issuer) => differOnlyInSlash(issuer, iss)) : undefined;
  return near === undefined ? `iss is ${quoted(iss)}` : differentIssuer(near, iss);
}
