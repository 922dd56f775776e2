// What the answer to a request that is sent round again says of the caller's quotas: Envoy forgets what the first pass had said.

import { within } from '../core/within.ts';
import type { Directory } from '../directory/directory.ts';
import { createPrincipal } from '../identity/principal.ts';
import type { Limits } from '../quota/limits.ts';
import type { TicketA } from '../session/ticket.ts';
import type { Asked } from './body.ts';
import { windowsFor } from './claim.ts';
import { type RateLimitFields, rateLimitHeaders } from './rate-limit-headers.ts';

/** Headers that say where quotas stand are worth a short wait, the answer is not worth a longer one. */
const USAGE_LIMIT_MS = 250;

/** Undefined when no quota applies, or nobody can say. Never rejects; takes nothing: the first pass has paid. */
export type Standing = (ticket: Pick<TicketA, 'backend' | 'caller'>, asked: Asked) => Promise<RateLimitFields | undefined>;

export function createStanding(directory: Directory, limits: Pick<Limits, 'usage'>): Standing {
  return async ({ backend, caller }, asked) => {
    const policy = directory.snapshot().tenants.find(({ name }) => name === caller.tenant);
    if (!policy) return undefined;
    const windows = windowsFor(policy, createPrincipal({ ...caller, scopes: [] }), backend, asked);
    if (windows.length === 0) return undefined;
    const usage = await within(limits.usage(policy.name, windows), USAGE_LIMIT_MS).catch(() => undefined);
    return usage && rateLimitHeaders(usage.windows);
  };
}
