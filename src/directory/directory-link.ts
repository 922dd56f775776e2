// The directory seen from another process: each change travels as a whole snapshot.

import type { MessageConnection } from 'vscode-jsonrpc/node';
import type { Directory } from './directory.ts';
import type { Backend, TenantPolicy } from './snapshot.ts';

/** Sends the snapshot now and after each change; changes of one turn of the event loop travel together. */
export function publishDirectory(connection: MessageConnection, directory: Directory): void {
  let scheduled = false;
  const publish = (): void => {
    scheduled = false;
    const { backends, tenants } = directory.snapshot();
    connection.sendNotification('directory/snapshot', { backends: [...backends.values()], tenants }).catch(() => {});
  };
  publish();
  const stop = directory.onChange(() => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(publish);
  });
  connection.onClose(stop);
}

/** Resolves when the other side has everything that was published until now. */
export async function isFollowed(connection: MessageConnection): Promise<void> {
  // Behind what was changed in this turn of the event loop; answers come in the order of what was sent.
  await new Promise((resolve) => setImmediate(resolve));
  await connection.sendRequest('directory/seen');
}

/** Follows the other side. The promise resolves with the first snapshot: the directory is synced then. */
export function followDirectory(connection: MessageConnection, directory: Directory): Promise<void> {
  connection.onRequest('directory/seen', () => true);
  return new Promise((resolve) => {
    connection.onNotification('directory/snapshot', (content: { backends: Backend[]; tenants: TenantPolicy[] }) => {
      directory.replace(content);
      resolve();
    });
  });
}
