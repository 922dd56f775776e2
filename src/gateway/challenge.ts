// What a client is told that has to log in, or to ask for more: `WWW-Authenticate` of 401 and 403 answers (RFC 6750, RFC 9728).

import { metadataUrl } from './public-url.ts';
import { refuse } from './refusal.ts';
import type { Answer, RequestFacts } from './request.ts';

export interface ChallengeOptions {
  readonly base: string;
  /** The path of what the token is for; empty: the gateway itself. */
  readonly endpoint: string;
  readonly scopes: readonly string[];
  readonly facts?: RequestFacts;
  readonly rpcId?: string | undefined;
}

/** No token yet (`code` token_missing, without an error), or one that is not accepted. */
export function challenge(code: 'token_missing' | 'token_invalid', options: ChallengeOptions): Answer {
  return refuse(code, { ...answered(options), headers: [header(options, code === 'token_invalid' ? 'invalid_token' : undefined)] });
}

/** The token is good, but a scope is missing that a new one could have. `scopes`: all that the request needs. */
export function askForScopes(options: ChallengeOptions): Answer {
  return refuse('insufficient_scope', { ...answered(options), headers: [header(options, 'insufficient_scope')] });
}

function answered({ facts, rpcId }: ChallengeOptions) {
  return { ...(facts ? { facts } : {}), rpcId };
}

function header({ base, endpoint, scopes }: ChallengeOptions, error: string | undefined): readonly [string, string] {
  const parts = [`resource_metadata="${quoted(metadataUrl(base, endpoint))}"`];
  if (scopes.length > 0) parts.push(`scope="${scopes.join(' ')}"`);
  if (error !== undefined) parts.push(`error="${error}"`);
  return ['www-authenticate', `Bearer ${parts.join(', ')}`];
}

/** Scopes cannot hold quotes (RFC 6749, section 3.3); a Host that was let through could. */
function quoted(text: string): string {
  return text.replaceAll(/["\\]/g, '');
}
