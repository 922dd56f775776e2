// The directory seen from another process: the whole of it first, then what each change has changed.

import type { MessageConnection } from 'vscode-jsonrpc/node';
import type { BackendName } from '../core/ids.ts';
import type { Directory } from './directory.ts';
import type { Backend, Snapshot, TenantPolicy } from './snapshot.ts';

/** `backends`: new and changed ones. `tenants`: all of them, when they have changed. */
interface DirectoryChange {
  readonly backends: readonly Backend[];
  readonly removed: readonly BackendName[];
  readonly tenants: readonly TenantPolicy[] | undefined;
}

/** Sends what is there now and after each change; changes of one turn of the event loop travel together. */
export function publishDirectory(connection: MessageConnection, directory: Directory): void {
  let sent: Snapshot | undefined;
  let scheduled = false;
  const publish = (): void => {
    scheduled = false;
    const next = directory.snapshot();
    const change = differences(sent, next);
    sent = next;
    connection.sendNotification('directory/change', change).catch(() => {});
  };
  publish();
  const stop = directory.onChange(() => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(publish);
  });
  connection.onClose(stop);
}

/** What is the same is the same object: a snapshot takes over what it does not change. */
function differences(before: Snapshot | undefined, { backends, tenants }: Snapshot): DirectoryChange {
  return {
    backends: [...backends.values()].filter((backend) => before?.backends.get(backend.name) !== backend),
    removed: before ? [...before.backends.keys()].filter((name) => !backends.has(name)) : [],
    tenants: before?.tenants === tenants ? undefined : tenants,
  };
}

/** Resolves when the other side has everything that was published until now. */
export async function isFollowed(connection: MessageConnection): Promise<void> {
  // Behind what was changed in this turn of the event loop; answers come in the order of what was sent.
  await new Promise((resolve) => setImmediate(resolve));
  await connection.sendRequest('directory/seen');
}

/** Follows the other side. The promise resolves with the first content: the directory is synced then. */
export function followDirectory(connection: MessageConnection, directory: Directory): Promise<void> {
  connection.onRequest('directory/seen', () => true);
  return new Promise((resolve) => {
    connection.onNotification('directory/change', ({ backends, removed, tenants }: DirectoryChange) => {
      const all = new Map(directory.snapshot().backends);
      for (const name of removed) all.delete(name);
      for (const backend of backends) all.set(backend.name, backend);
      directory.replace({ backends: [...all.values()], tenants: tenants ?? directory.snapshot().tenants });
      resolve();
    });
  });
}
