// The end of a session on its own server, when the gateway and not the client wants it.

import type { Directory } from '../directory/directory.ts';
import type { SessionRecord } from '../session/store.ts';
import type { CallUpstream } from './upstream.ts';

const DELETE_TIMEOUT_MS = 5_000;

export interface EndUpstreamDependencies {
  readonly directory: Pick<Directory, 'snapshot'>;
  readonly call: CallUpstream;
  /** Host for the DELETE: servers that check it accept what clients use. */
  readonly authority: () => string;
}

/** Resolves at once when its instance is gone, and the session with it. @throws UpstreamUnreachable when the server was not told */
export async function endUpstream(
  { backend: name, binding }: Pick<SessionRecord, 'backend' | 'binding'>,
  { directory, call, authority }: EndUpstreamDependencies,
  signal?: AbortSignal,
): Promise<void> {
  const backend = directory.snapshot().backends.get(name);
  const instance = backend?.instances.find(({ id }) => id === binding.instance);
  if (!backend || !instance) return;
  await call({
    method: 'DELETE',
    instance,
    backend,
    authority: authority(),
    headers: { 'mcp-session-id': binding.upstreamId },
    body: '',
    timeoutMs: DELETE_TIMEOUT_MS,
    ...(signal && { signal }),
  });
}
