// What is read out of a token whose signature is good: whether it is valid now, and whom it names.

import type { IssuerSpec } from '../config/issuer-spec.ts';
import { audiencesOf, type Claims, claimTexts, claimValue, isName, roleTexts, scopeTexts } from './claims.ts';
import type { Identity, TokenFault } from './identity.ts';
import { tokenFault } from './token-fault.ts';

const LATEST_TIME_S = 8.64e12;

/** Undefined when the token is valid at `now`. `exp` is required: a token without an end could not be taken back. */
export function timeFault(
  { exp, nbf }: Claims,
  { now, leeway }: { readonly now: number; readonly leeway: number },
): TokenFault | undefined {
  if (!isTime(exp)) return tokenFault('missing_claim', 'exp is missing or not a number');
  if (nbf !== undefined && !isTime(nbf)) return tokenFault('missing_claim', 'nbf is not a number');
  if (now >= exp * 1000 + leeway) return tokenFault('expired', `for ${seconds(now - exp * 1000)} s`);
  if (nbf !== undefined && nbf * 1000 > now + leeway) return tokenFault('not_yet_valid', `for another ${seconds(nbf * 1000 - now)} s`);
  return undefined;
}

/** Whom the claims name, by the rules of their issuer; claims of a wrong type count as absent. `exp` has been checked. */
export function identityOf(claims: Claims, { issuer, audiences: listed, claims: names }: IssuerSpec): Identity | TokenFault {
  const audiences = audiencesOf(claims);
  if (audiences.length === 0) return tokenFault('wrong_audience', 'the token has no aud');
  const subject = claimValue(claims, names.subject);
  if (!isName(subject)) return tokenFault('missing_claim', `${names.subject} is missing or not a text of 1 to 256 printable characters`);
  return {
    issuer,
    subject,
    tenant: names.tenant === undefined ? undefined : claimTexts(claims, names.tenant)[0],
    roles: roleTexts(claims, names.roles),
    scopes: scopeTexts(claims, names.scopes),
    audiences,
    listedAudience: audiences.some((audience) => listed.includes(audience)),
    expiresAt: (claims['exp'] as number) * 1000,
    claim: (name) => claimTexts(claims, name),
  };
}

/** JSON has no NaN, but 1e999 is Infinity: within the range of dates all sums of times are exact enough. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= LATEST_TIME_S;
}

function seconds(milliseconds: number): number {
  return Math.ceil(milliseconds / 1000);
}
