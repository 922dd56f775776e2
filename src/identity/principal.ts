// Who is calling: the caller that every later step works with, and the one that stands for everybody in the local mode.

import { createHash } from 'node:crypto';
import type { TenantId } from '../core/ids.ts';

export interface Principal {
  readonly issuer: string;
  readonly subject: string;
  readonly tenant: TenantId;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  /** SHA-256 over issuer and subject, 32 bytes: what a session id is bound to. */
  readonly hash: Buffer;
}

/** The separator cannot occur in a URL or a subject of printable characters: no two pairs make one text. */
export function createPrincipal(claims: Omit<Principal, 'hash'>): Principal {
  return { ...claims, hash: createHash('sha256').update(`${claims.issuer}\n${claims.subject}`).digest() };
}

/** In the local mode no token is asked: everyone on this machine who reaches the listener is this caller. */
export const localCaller: Principal = createPrincipal({
  issuer: 'local',
  subject: 'local',
  tenant: 'default' as TenantId,
  roles: [],
  scopes: [],
});
