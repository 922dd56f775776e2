// How a sidecar finds out who is calling: the issuers' tokens, or in the local mode nobody's.

import type { Logger } from 'pino';
import { Counter, type Registry } from 'prom-client';
import type { IssuerSpec } from '../config/issuer-spec.ts';
import { createIdentify, createLocalIdentify, type Identify } from '../gateway/caller.ts';
import type { PublicUrlRules } from '../gateway/public-url.ts';
import { createTokenVerifier } from '../identity/token-verifier.ts';

export interface IdentityOptions {
  readonly issuers: readonly IssuerSpec[];
  readonly adminRoles: readonly string[];
  /** Roles whose holders need no tenant. Default: none but administrators. */
  readonly tenantless?: readonly string[];
  readonly publicUrl: PublicUrlRules;
  readonly registry: Registry;
  readonly log: Logger;
}

export function openIdentity({ issuers, adminRoles, tenantless = [], publicUrl, registry, log }: IdentityOptions): {
  identify: Identify;
  close(): void;
} {
  if (issuers.length === 0) return { identify: createLocalIdentify(), close() {} };
  const fetches = new Counter({
    name: 'mcp_issuer_fetches_total',
    help: 'Attempts to read the keys of an issuer.',
    labelNames: ['issuer', 'outcome'],
    registers: [registry],
  });
  const verifier = createTokenVerifier({ issuers, log, onFetch: (issuer, outcome) => fetches.inc({ issuer, outcome }) });
  return {
    identify: createIdentify({ verifier, adminRoles: new Set(adminRoles), tenantless: new Set(tenantless), publicUrl, log }),
    close: () => verifier.close(),
  };
}
