// The directory: the newest snapshot of backends and instances, who may write it, and waiting for an instance to be ready.

import type { BackendName } from '../core/ids.ts';
import type { Backend, DirectoryWriter, Instance, Snapshot, TenantPolicy } from './snapshot.ts';

export interface Directory extends DirectoryWriter {
  snapshot(): Snapshot;
  /** Replaces everything at once: a snapshot that came from another process. */
  replace(content: { readonly backends: readonly Backend[]; readonly tenants: readonly TenantPolicy[] }): void;
  /** Called after each change. Returns the function that stops it. */
  onChange(listener: (snapshot: Snapshot) => void): () => void;
  /**
   * Resolves with a snapshot in which the backend has an instance that satisfies `wanted`, or does not exist (any more).
   * Rejects with the signal's reason.
   */
  waitFor(name: BackendName, wanted: (instance: Instance) => boolean, signal: AbortSignal): Promise<Snapshot>;
}

export function createDirectory(): Directory {
  let current: Snapshot = { version: 0, backends: new Map(), tenants: [] };
  const listeners = new Set<(snapshot: Snapshot) => void>();

  const publish = (backends: ReadonlyMap<BackendName, Backend>, tenants: readonly TenantPolicy[] = current.tenants): void => {
    current = { version: current.version + 1, backends, tenants };
    for (const listener of [...listeners]) listener(current);
  };

  /** The same tenants stay the same objects: callers, tickets and prepared rules are remembered by them. */
  const unlessSame = (tenants: readonly TenantPolicy[]): readonly TenantPolicy[] => {
    const next = inOrder(tenants);
    return JSON.stringify(next) === JSON.stringify(current.tenants) ? current.tenants : next;
  };

  const edit = (change: (backends: Map<BackendName, Backend>) => void): void => {
    const backends = new Map(current.backends);
    change(backends);
    publish(backends);
  };

  const onChange = (listener: (snapshot: Snapshot) => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };

  return {
    snapshot: () => current,
    onChange,
    replace: ({ backends, tenants }) => publish(new Map(backends.map((backend) => [backend.name, backend])), unlessSame(tenants)),
    putTenants: (tenants) => publish(current.backends, unlessSame(tenants)),
    putBackend: (policy) =>
      edit((backends) => {
        backends.set(policy.name, { ...policy, instances: backends.get(policy.name)?.instances ?? [] });
      }),
    removeBackend: (name) =>
      edit((backends) => {
        backends.delete(name);
      }),
    putInstances: (name, instances) =>
      edit((backends) => {
        const backend = backends.get(name);
        if (backend) backends.set(name, { ...backend, instances: [...instances] });
      }),
    waitFor(name, wanted, signal) {
      return new Promise((resolve, reject) => {
        // A backend that is gone ends the wait: nothing will become ready any more.
        const satisfied = (snapshot: Snapshot): boolean => snapshot.backends.get(name)?.instances.some(wanted) ?? true;
        if (signal.aborted) return reject(signal.reason as Error);
        if (satisfied(current)) return resolve(current);
        const stop = (): void => {
          stopListening();
          signal.removeEventListener('abort', abort);
        };
        const abort = (): void => {
          stop();
          reject(signal.reason as Error);
        };
        const stopListening = onChange((snapshot) => {
          if (!satisfied(snapshot)) return;
          stop();
          resolve(snapshot);
        });
        signal.addEventListener('abort', abort, { once: true });
      });
    },
  };
}

function inOrder(tenants: readonly TenantPolicy[]): TenantPolicy[] {
  return [...tenants].sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
}
