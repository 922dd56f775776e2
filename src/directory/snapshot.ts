// What is known of backends and their instances at one moment: an immutable value that a request takes once.

import type { BackendName, InstanceId, TenantId } from '../core/ids.ts';

/**
 * `starting`: exists, takes nothing yet. `ready`: takes everything. `draining`: keeps the sessions it has, gets no new ones.
 */
export type InstanceState = 'starting' | 'ready' | 'draining';

/** One process (or pod, or remote URL) that answers MCP requests. */
export interface Instance {
  readonly id: InstanceId;
  /** `ip:port` or `[v6]:port`: the only forms that Envoy's ORIGINAL_DST cluster dials. */
  readonly address: string;
  readonly state: InstanceState;
}

/** Which tools of a backend may be seen and called: globs in which `*` stands for any run of characters; deny wins. */
export interface ToolRules {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** Who may use a backend, and what their tokens must be good for. */
export interface AccessRules {
  /** Names of tenants; `*` stands for all. With `roles`, either is enough. Both empty: its creator and administrators only. */
  readonly tenants: readonly string[];
  readonly roles: readonly string[];
  /** OAuth scopes that every request needs, all of them. */
  readonly scopes: readonly string[];
  /** Scopes that calls of a tool need on top, by glob. */
  readonly toolScopes: readonly (readonly [glob: string, scopes: readonly string[]])[];
}

/** What a request needs to know of a backend's declaration. Times in milliseconds. */
export interface BackendPolicy {
  readonly name: BackendName;
  /** Path of the MCP endpoint on the instance, e.g. `/mcp`. */
  readonly path: string;
  readonly affinity: 'session' | 'none';
  /** `undefined` when every tool is allowed, so that no body has to be read for a tool rule. */
  readonly tools: ToolRules | undefined;
  /** Undefined: its creator and administrators only. Without tokens (local mode) nobody asks. */
  readonly access: AccessRules | undefined;
  /** `issuer subject` of whoever registered it; undefined for resources from files and kubectl. */
  readonly creator: string | undefined;
  readonly trustToolHints: boolean;
  readonly sessions: {
    readonly recovery: 'reinitialize' | 'fail';
    readonly idleTimeoutMs: number;
    readonly maxAgeMs: number;
  };
  /** How long a request may wait for an instance to become ready (at most 50,000: clients give up at 60 s). */
  readonly startTimeoutMs: number;
  /** `url:` backends: the authority that the upstream sees as Host, and whether to speak TLS to it. Otherwise Host passes unchanged. */
  readonly remote: RemotePolicy | undefined;
}

export interface RemotePolicy {
  readonly authority: string;
  readonly tls: boolean;
  /** A header that every request to it carries (`upstreamAuth`). Its value is a secret: never logged, never shown. */
  readonly auth?: { readonly header: string; readonly value: string } | undefined;
}

/** One quota of a tenant. */
export interface TenantQuota {
  readonly requests: number;
  readonly windowMs: number;
  /** Whose requests are counted together. */
  readonly scope: 'tenant' | 'subject';
  readonly backend: string | undefined;
  /** A glob. */
  readonly tool: string | undefined;
  /** Every JSON-RPC request counts, not only `tools/call`. */
  readonly countAll: boolean;
}

/** What a request needs to know of a tenant's declaration. */
export interface TenantPolicy {
  readonly name: TenantId;
  readonly priority: number;
  /** Alternatives: one that fits is enough. */
  readonly match: readonly { readonly issuer: string; readonly claim: string; readonly values: readonly string[] }[];
  /** `undefined` when every tool is allowed. */
  readonly tools: ToolRules | undefined;
  readonly quotas: readonly TenantQuota[];
  readonly limits: { readonly sessions: number | undefined; readonly concurrentRequests: number | undefined };
  readonly onOutage: 'allow-local' | 'deny';
  /** The audit log of this tenant holds the arguments of tool calls. */
  readonly auditArguments: boolean;
}

/** A backend with the instances that exist now. */
export interface Backend extends BackendPolicy {
  readonly instances: readonly Instance[];
}

/** Everything that is known at one moment. `version` grows with each change. */
export interface Snapshot {
  readonly version: number;
  readonly backends: ReadonlyMap<BackendName, Backend>;
  /** The highest priority first, then by name: the first that matches a caller is the caller's tenant. */
  readonly tenants: readonly TenantPolicy[];
}

/** The side that a runtime (local processes, Kubernetes watchers) writes to; each call makes one new snapshot. */
export interface DirectoryWriter {
  /** Adds a backend or replaces its declaration; its instances stay as they are. */
  putBackend(policy: BackendPolicy): void;
  /** Removes a backend and its instances. Unknown names are ignored. */
  removeBackend(name: BackendName): void;
  /** Replaces the instances of a backend. Unknown names are ignored. */
  putInstances(name: BackendName, instances: readonly Instance[]): void;
  /** Replaces all tenants, in any order. */
  putTenants(tenants: readonly TenantPolicy[]): void;
}
