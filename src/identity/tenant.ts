// Which tenant a verified caller belongs to.

import type { TenantPolicy } from '../directory/snapshot.ts';
import type { Identity } from './identity.ts';

/**
 * The first of the tenants, which come sorted, that the caller's own tenant claim names or one of whose rules fits; undefined when
 * there is none. Reads claims anew each time: keep the answer as long as both arguments are the same objects.
 */
export function tenantOf(identity: Identity, tenants: readonly TenantPolicy[]): TenantPolicy | undefined {
  return tenants.find(({ name, match }) => name === identity.tenant || match.some((rule) => fits(identity, rule)));
}

function fits(identity: Identity, { issuer, claim, values }: TenantPolicy['match'][number]): boolean {
  // Another issuer may put whatever it likes into a claim of the same name.
  return issuer === identity.issuer && identity.claim(claim).some((value) => values.includes(value));
}
