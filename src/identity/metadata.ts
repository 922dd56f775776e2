// Finds out where an issuer publishes its keys: OpenID Connect Discovery, or else RFC 8414.

import { endpointProblem } from '../config/issuer-spec.ts';
import { isObject } from './claims.ts';
import { quoted } from './token-fault.ts';

export interface MetadataOptions {
  readonly issuer: string;
  /** Read instead of the well-known places. */
  readonly discoveryUrl?: string | undefined;
  readonly readJson: (url: string) => Promise<unknown>;
}

/** @throws Error that says which document is wrong, or why there is none. */
export async function findJwksUri({ issuer, discoveryUrl, readJson }: MetadataOptions): Promise<string> {
  const failures: string[] = [];
  for (const url of discoveryUrl === undefined ? metadataUrls(issuer) : [discoveryUrl]) {
    let document: unknown;
    try {
      document = await readJson(url);
    } catch (error) {
      failures.push((error as Error).message);
      continue;
    }
    return jwksUriOf(document, { url, issuer });
  }
  throw new Error(failures.join('; '));
}

/** Discovery appends to the issuer's path (section 4.1), RFC 8414 stands before it (section 3.1). */
function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [`${origin}${path}/.well-known/openid-configuration`, `${origin}/.well-known/oauth-authorization-server${path}`];
}

function jwksUriOf(document: unknown, { url, issuer }: { readonly url: string; readonly issuer: string }): string {
  if (!isObject(document)) throw new Error(`${url}: not a JSON object`);
  const { issuer: named, jwks_uri: uri } = document;
  // Section 4.3: a document that names another issuer may be somebody else's, with keys of theirs.
  if (named !== issuer) throw new DifferentIssuer(url, issuer, named);
  if (typeof uri !== 'string' || !URL.canParse(uri)) throw new Error(`${url}: has no jwks_uri`);
  // Only this machine's own provider may lead to keys over plain HTTP, which are on this machine too.
  const plain = url.startsWith('http:') && endpointProblem(uri) === undefined;
  if (!uri.startsWith('https://') && !plain) throw new Error(`${url}: its jwks_uri does not begin with https://`);
  return uri;
}

/** Thrown for a document of another issuer than the configured one. */
export class DifferentIssuer extends Error {
  readonly found: unknown;

  constructor(url: string, configured: string, found: unknown) {
    super(`${url}: ${differentIssuer(configured, found)}`);
    this.found = found;
  }
}

/** Says which two texts differ: they are compared letter by letter, and mostly it is the slash. */
export function differentIssuer(configured: string, found: unknown): string {
  const slash = typeof found === 'string' && differOnlyInSlash(configured, found);
  const hint = slash ? ': they differ in the slash at the end, which counts' : '';
  return `its issuer is ${quoted(found)}, but ${quoted(configured)} is configured${hint}`;
}

export function differOnlyInSlash(one: string, other: string): boolean {
  return one === `${other}/` || other === `${one}/`;
}
