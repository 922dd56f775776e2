// Why an issuer is not one of the configured ones: `iss` is compared letter by letter, and mostly little differs.

import { quoted } from '../../identity/token-fault.ts';

/** More issuers would make the line unreadable. */
const MAX_NAMED = 5;

export interface IssExplanation {
  /** Follows the words "its iss" or "its issuer". */
  readonly message: string;
  readonly advice: string;
}

/** `found`: what a token or a discovery document says. */
export function explainIss(found: unknown, configured: readonly string[]): IssExplanation {
  const near = typeof found === 'string' ? nearest(found, configured) : undefined;
  if (typeof found === 'string' && near !== undefined) {
    return {
      message: `is ${quoted(found)}, but ${quoted(near.issuer)} is configured: they differ in ${near.difference}`,
      advice: near.advice ?? `write it into issuers as ${quoted(found)}: it is compared letter by letter`,
    };
  }
  const others = configured.slice(0, MAX_NAMED).map(quoted).join(', ') + (configured.length > MAX_NAMED ? ', …' : '');
  return {
    message: `is ${quoted(found)}, but configured ${configured.length === 1 ? 'is' : 'are'} ${others || 'none'}`,
    advice: 'take a token of a configured issuer, or add this one to issuers',
  };
}

interface Near {
  readonly issuer: string;
  readonly difference: string;
  readonly advice?: string;
}

function nearest(found: string, configured: readonly string[]): Near | undefined {
  for (const { same, difference, another } of DIFFERENCES) {
    const issuer = configured.find((each) => each !== found && same(each) === same(found));
    if (issuer === undefined) continue;
    // It may be somebody else's: then its tokens had better not be accepted.
    const choice = `take a token of ${quoted(issuer)}, or write the issuer as ${quoted(found)} if that is the one you mean`;
    return { issuer, difference, ...(another && { advice: choice }) };
  }
  const entra = entraTenant(found);
  const issuer = entra && configured.find((each) => entraTenant(each)?.tenant === entra.tenant);
  if (issuer === undefined) return undefined;
  const asked = entraTenant(issuer)?.version === 2 ? 'set requestedAccessTokenVersion to 2' : 'set requestedAccessTokenVersion to 1';
  return {
    issuer,
    difference: 'the version of Entra’s tokens',
    advice: `${asked} in the manifest of the app registration, or write the issuer as ${quoted(found)}`,
  };
}

const trimmed = (issuer: string): string => issuer.trim().replace(/\/+$/, '');
const withoutScheme = (issuer: string): string => trimmed(issuer).replace(/^https?:\/\//i, '');
const host = (issuer: string): string => withoutScheme(issuer).split('/')[0] ?? '';

interface Difference {
  /** Gives the same text for issuers that differ in nothing else. */
  readonly same: (issuer: string) => string;
  readonly difference: string;
  /** They may be different issuers. */
  readonly another?: true;
}

/** The smallest first. */
const DIFFERENCES: readonly Difference[] = [
  { same: (issuer) => issuer.trim(), difference: 'space at the end or the beginning' },
  { same: trimmed, difference: 'the slash at the end, which counts' },
  { same: (issuer) => trimmed(issuer).toLowerCase(), difference: 'upper and lower case, which counts' },
  { same: withoutScheme, difference: 'http and https' },
  { same: (issuer) => withoutScheme(issuer).replace(/^localhost(?=[:/]|$)/, '127.0.0.1'), difference: 'the name of this machine' },
  { same: (issuer) => withoutScheme(issuer).replace(/:\d+(?=\/|$)/, ''), difference: 'the port', another: true },
  { same: host, difference: 'the path', another: true },
];

/** The directory of an issuer of Microsoft Entra, of either version. */
function entraTenant(issuer: string): { readonly tenant: string; readonly version: number } | undefined {
  const [, old] = /^https:\/\/sts\.windows\.net\/([^/]+)\/$/.exec(issuer) ?? [];
  const [, current] = /^https:\/\/login\.microsoftonline\.com\/([^/]+)\/v2\.0$/.exec(issuer) ?? [];
  const tenant = old ?? current;
  return tenant === undefined ? undefined : { tenant, version: old === undefined ? 2 : 1 };
}
