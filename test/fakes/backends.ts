// Backends and instances as a directory would hold them.

import type { BackendName, InstanceId } from '../../src/core/ids.ts';
import { createDirectory, type Directory } from '../../src/directory/directory.ts';
import type { Backend, Instance, InstanceState } from '../../src/directory/snapshot.ts';

/** `i1` listens at 127.0.0.1:1, and so on. */
export const instanceOf = (id: string, state: InstanceState = 'ready'): Instance => ({
  id: id as InstanceId,
  address: `127.0.0.1:${id.replace(/\D/g, '') || '0'}`,
  state,
});

export function backendOf(
  over: Partial<Omit<Backend, 'instances' | 'name'>> & { name?: string; instances?: readonly Instance[] } = {},
): Backend {
  return {
    path: '/mcp',
    affinity: 'session',
    tools: undefined,
    access: undefined,
    creator: undefined,
    trustToolHints: false,
    sessions: { recovery: 'reinitialize', idleTimeoutMs: 60_000, maxAgeMs: 3_600_000 },
    startTimeoutMs: 50_000,
    remote: undefined,
    instances: [instanceOf('i1'), instanceOf('i2')],
    ...over,
    name: (over.name ?? 'memory') as BackendName,
  };
}

export function directoryOf(...backends: Backend[]): Directory {
  const directory = createDirectory();
  directory.replace({ backends, tenants: [] });
  return directory;
}
