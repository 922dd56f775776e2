// What a request needs to know of a declared backend: the one mapping from resource to directory.

import type { BackendResource } from '../config/resources.ts';
import type { BackendPolicy, ToolRules } from '../directory/snapshot.ts';

/** Clients give up at 60 s; a request that waits for a start must be answered before that. */
export const MAX_START_WAIT_MS = 50_000;

/** The directory's view of a backend. Every default has been filled in by the resource's schema. */
export function toPolicy({ name, spec }: BackendResource): BackendPolicy {
  const url = spec.url === undefined ? undefined : new URL(spec.url);
  return {
    name,
    path: url?.pathname ?? spec.path,
    affinity: spec.affinity,
    tools: toToolRules(spec.access?.tools),
    trustToolHints: spec.trustToolHints,
    sessions: {
      recovery: spec.sessions.recovery,
      idleTimeoutMs: spec.sessions.idleTimeout,
      maxAgeMs: spec.sessions.maxAge,
    },
    startTimeoutMs: Math.min(spec.scaling.startTimeout, MAX_START_WAIT_MS),
    remote: url === undefined ? undefined : { authority: url.host, tls: url.protocol === 'https:' },
  };
}

/** `undefined` when nothing is forbidden: then no body has to be read for a tool rule. */
function toToolRules(tools: ToolRules | undefined): ToolRules | undefined {
  if (tools === undefined || (tools.deny.length === 0 && tools.allow.length === 1 && tools.allow[0] === '*')) {
    return undefined;
  }
  return { allow: tools.allow, deny: tools.deny };
}
