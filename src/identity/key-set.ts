// The public keys of an issuer, as read from its JWKS: which of them can check which signature.

import { type CryptoKey, importJWK, type JWK } from 'jose';
import { type Claims, isObject } from './claims.ts';

const MAX_KEYS = 100;
/** 2048 bits in base64url: RFC 7518 asks for no less. */
const MIN_RSA_LENGTH = 342;
/** Tokens without a `kid` are tried with every key that fits; with more keys than this their issuer has to name them. */
const MAX_CANDIDATES = 4;

/** What there is in a symmetric or private key, but never in a public one. */
const SECRET_MEMBERS = ['k', 'd', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'priv'];

interface KeyKind {
  readonly kty: string;
  readonly crv: string | undefined;
}

const RSA: KeyKind = { kty: 'RSA', crv: undefined };
const ED25519: KeyKind = { kty: 'OKP', crv: 'Ed25519' };
/** Which keys an algorithm takes: with this fixed, a key is never used as something else than it is. */
const KEY_KINDS: ReadonlyMap<string, KeyKind> = new Map<string, KeyKind>([
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((alg) => [alg, RSA] as const),
  ['ES256', { kty: 'EC', crv: 'P-256' }],
  ['ES384', { kty: 'EC', crv: 'P-384' }],
  ['ES512', { kty: 'EC', crv: 'P-521' }],
  ['EdDSA', ED25519],
  ['Ed25519', ED25519],
]);

export interface SigningKey {
  /** The key and its name: equal in two key sets when it is the same key. */
  readonly id: string;
  /** Rejects when its material is no key. */
  forAlgorithm(alg: string): Promise<CryptoKey>;
}

export interface KeySet {
  readonly ids: ReadonlySet<string>;
  /** Keys that were passed over: secret, too short, for encryption, or of an unknown kind. */
  readonly ignored: number;
  /** The keys that may have made a signature of this algorithm; with `kid` only those of that name. */
  candidates(alg: string, kid: string | undefined): readonly SigningKey[];
}

interface UsableKey extends SigningKey {
  readonly jwk: JWK;
  readonly kid: unknown;
  readonly alg: unknown;
}

/** @throws Error when the document is no key set or has no key that can be used: the keys known so far are better then. */
export function readKeySet(document: unknown): KeySet {
  const entries = isObject(document) ? document['keys'] : undefined;
  if (!Array.isArray(entries)) throw new Error('not a JSON Web Key Set');
  if (entries.length > MAX_KEYS) throw new Error(`more than ${MAX_KEYS} keys`);
  const keys = entries.map(usableKey).filter((key) => key !== undefined);
  if (keys.length === 0) throw new Error('no key that can be used');
  return {
    ids: new Set(keys.map(({ id }) => id)),
    ignored: entries.length - keys.length,
    candidates(alg, kid) {
      const kind = KEY_KINDS.get(alg);
      if (kind === undefined) return [];
      const fitting = keys.filter(
        ({ jwk, ...key }) =>
          jwk.kty === kind.kty &&
          jwk.crv === kind.crv &&
          (key.alg === undefined || key.alg === alg) &&
          (kid === undefined || key.kid === kid),
      );
      return fitting.slice(0, MAX_CANDIDATES);
    },
  };
}

export function sameKeys(one: KeySet, other: KeySet): boolean {
  return one.ids.size === other.ids.size && [...one.ids].every((id) => other.ids.has(id));
}

function usableKey(entry: unknown): UsableKey | undefined {
  if (!isObject(entry)) return undefined;
  // A secret that is published is nobody's any more; used as a key for HMAC it would let everybody sign.
  if (SECRET_MEMBERS.some((member) => Object.hasOwn(entry, member))) return undefined;
  const { use, key_ops: operations, kid, alg } = entry;
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  const jwk = publicPart(entry);
  if (jwk === undefined) return undefined;
  const imported = new Map<string, Promise<CryptoKey>>();
  return {
    id: JSON.stringify([kid, alg, jwk]),
    jwk,
    kid,
    alg,
    forAlgorithm(asked) {
      const known = imported.get(asked);
      if (known !== undefined) return known;
      const key = importJWK(jwk, asked) as Promise<CryptoKey>;
      imported.set(asked, key);
      return key;
    },
  };
}

/** Only the members that make up the key: certificates and the like are not kept. */
function publicPart({ kty, crv, n, e, x, y }: Claims): JWK | undefined {
  const texts = (...values: unknown[]): boolean => values.every((value) => typeof value === 'string');
  if (kty === 'RSA' && texts(n, e) && (n as string).length >= MIN_RSA_LENGTH) return { kty, n, e } as JWK;
  if (kty === 'EC' && texts(crv, x, y)) return { kty, crv, x, y } as JWK;
  return kty === 'OKP' && texts(crv, x) ? ({ kty, crv, x } as JWK) : undefined;
}
