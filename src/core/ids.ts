// The identifiers that cross module borders, branded so that one kind cannot be passed for another.

type Brand<Name extends string> = string & { readonly __brand: Name };

/** `metadata.name` of an MCPBackend: a DNS-1035 label of at most 50 characters. */
export type BackendName = Brand<'BackendName'>;

/**
 * One incarnation of a server process that can hold sessions: a pod UID plus its restart count on Kubernetes,
 * one id per process start locally. A restarted process is a new instance, because its sessions are gone.
 */
export type InstanceId = Brand<'InstanceId'>;

/** What a client sees in `Mcp-Session-Id`: opaque, sealed by this gateway, constant for the session's life. */
export type SealedSessionId = Brand<'SealedSessionId'>;

/** What the upstream server put into `Mcp-Session-Id`: visible ASCII of any length, never shown to a client. */
export type UpstreamSessionId = Brand<'UpstreamSessionId'>;

/** The gateway's own random name for a session: the key of its record in the session store. */
export type SessionKey = Brand<'SessionKey'>;

/** `metadata.name` of an MCPTenant, or `default`. */
export type TenantId = Brand<'TenantId'>;
