// The contract of identity: what a verified token says of its bearer, and the ways in which a token can fail.

/** A verified token. One token is one object as long as it is cached: later steps compare identities by reference. */
export interface Identity {
  readonly issuer: string;
  readonly subject: string;
  /** From the issuer's tenant claim, when it has one configured: matches the MCPTenant of that name. */
  readonly tenant: string | undefined;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** `aud` of the token. */
  readonly audiences: readonly string[];
  /** Whether one of `audiences` is in the issuer's own list: then the token opens every backend. */
  readonly listedAudience: boolean;
  /** Milliseconds since 1970; leeway not included. */
  readonly expiresAt: number;
  /** Values of a claim as texts: of a text its value, of an array its texts; a dotted name finds `realm_access.roles`. Empty when absent. */
  readonly claim: (name: string) => readonly string[];
}

/**
 * A token that is not accepted. `code` is stable, for the log and metrics; `detail` is for the log alone and never holds any part of
 * the token but claims that are named there (`iss`, `aud`, `kid`, `alg`), cut to a bounded length.
 */
export interface TokenFault {
  readonly kind: 'fault';
  readonly code: TokenFaultCode;
  readonly detail: string;
}

export type TokenFaultCode =
  | 'token_malformed'
  | 'token_too_large'
  | 'unknown_issuer'
  | 'algorithm_not_allowed'
  | 'unknown_key'
  | 'bad_signature'
  | 'expired'
  | 'not_yet_valid'
  | 'wrong_audience'
  | 'missing_claim'
  /** The issuer's keys cannot be read, and none are known, or not the one that the token names: not the caller's fault, answered with 503. */
  | 'keys_unavailable';

/** Answers at once for a token that was verified before, or that is bad at first sight; otherwise with a promise. Never rejects. */
export interface TokenVerifier {
  verify(token: string): Identity | TokenFault | Promise<Identity | TokenFault>;
  close(): void;
}
