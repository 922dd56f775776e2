// What a request needs to know of a declared backend: the one mapping from resource to directory.

import type { BackendResource, TenantResource } from '../config/resources.ts';
import type { UpstreamAuth } from '../config/upstream-auth.ts';
import type { BackendPolicy, RemotePolicy, TenantPolicy, ToolRules } from '../directory/snapshot.ts';

/** Clients give up at 60 s; a request that waits for a start must be answered before that. */
export const MAX_START_WAIT_MS = 50_000;

/**
 * The directory's view of a backend. Every default has been filled in by the resource's schema. `secret`: the value of `upstreamAuth`,
 * once it is known.
 */
export function toPolicy({ name, spec, creator }: BackendResource, secret?: string): BackendPolicy {
  const { access } = spec;
  const url = spec.url === undefined ? undefined : new URL(spec.url);
  return {
    name,
    path: url?.pathname ?? spec.path,
    affinity: spec.affinity,
    tools: toToolRules(access?.tools),
    access: access && {
      tenants: access.tenants,
      roles: access.roles,
      scopes: access.scopes,
      toolScopes: Object.entries(access.toolScopes),
    },
    creator,
    trustToolHints: spec.trustToolHints,
    sessions: {
      recovery: spec.sessions.recovery,
      idleTimeoutMs: spec.sessions.idleTimeout,
      maxAgeMs: spec.sessions.maxAge,
    },
    startTimeoutMs: Math.min(spec.scaling.startTimeout, MAX_START_WAIT_MS),
    remote: url && { authority: url.host, tls: url.protocol === 'https:', auth: toAuth(spec.upstreamAuth, secret) },
  };
}

/** In lower case, as the data path compares header names. */
function toAuth(auth: UpstreamAuth | undefined, value: string | undefined): RemotePolicy['auth'] {
  return auth === undefined || value === undefined ? undefined : { header: auth.header.toLowerCase(), value };
}

/** The directory's view of a tenant. */
export function toTenantPolicy({ name, spec }: TenantResource): TenantPolicy {
  return {
    name,
    priority: spec.priority,
    match: spec.match,
    tools: toToolRules(spec.tools),
    quotas: spec.quotas.map(({ requests, per, scope, backend, tool, countAll }) => ({
      ...{ requests, windowMs: per, scope, backend, tool, countAll },
    })),
    limits: { sessions: spec.limits.sessions, concurrentRequests: spec.limits.concurrentRequests },
    onOutage: spec.onOutage,
    auditArguments: spec.audit.arguments,
  };
}

/** `undefined` when nothing is forbidden: then no body has to be read for a tool rule. */
function toToolRules(tools: ToolRules | undefined): ToolRules | undefined {
  if (tools === undefined || (tools.deny.length === 0 && tools.allow.length === 1 && tools.allow[0] === '*')) {
    return undefined;
  }
  return { allow: tools.allow, deny: tools.deny };
}
