// The end of a session on its own server, when the gateway and not the client wants it.

import type { Logger } from 'pino';
import type { Directory } from '../directory/directory.ts';
import type { SessionRecord } from '../session/store.ts';
import { identityHeaders } from './identity-headers.ts';
import type { CallUpstream } from './upstream.ts';

const DELETE_TIMEOUT_MS = 5_000;
/** The session is gone already, or its server lets no client end one. */
const NOTHING_TO_END: ReadonlySet<number> = new Set([404, 405]);

export interface EndUpstreamDependencies {
  readonly directory: Pick<Directory, 'snapshot'>;
  readonly call: CallUpstream;
  /** Host for the DELETE: servers that check it accept what clients use. */
  readonly authority: () => string;
  readonly log: Pick<Logger, 'info'>;
}

/** Resolves at once when its instance is gone, and the session with it. @throws UpstreamUnreachable when the server was not told */
export async function endUpstream(
  { backend: name, binding, issuer, subject, tenant }: Pick<SessionRecord, 'backend' | 'binding' | 'issuer' | 'subject' | 'tenant'>,
  { directory, call, authority, log }: EndUpstreamDependencies,
  signal?: AbortSignal,
): Promise<void> {
  const backend = directory.snapshot().backends.get(name);
  const instance = backend?.instances.find(({ id }) => id === binding.instance);
  // Without an id of its own there is no session on the server.
  if (!backend || !instance || !binding.upstreamId) return;
  // A server may let only the caller end a session. Which roles the caller has, nobody knows here.
  const caller = Object.fromEntries(identityHeaders({ issuer, subject, tenant, roles: [] }));
  const { status } = await call({
    method: 'DELETE',
    instance,
    backend,
    authority: authority(),
    headers: { 'mcp-session-id': binding.upstreamId, ...caller },
    body: '',
    timeoutMs: DELETE_TIMEOUT_MS,
    ...(signal && { signal }),
  });
  if ((status < 200 || status > 299) && !NOTHING_TO_END.has(status)) {
    log.info({ backend: name, instance: instance.id, status }, 'session not ended by its server');
  }
}
