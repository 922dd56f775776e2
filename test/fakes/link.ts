// A real unix socket with JSON-RPC at both ends: how sidecars reach their supervisor.

import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMessageConnection, type MessageConnection, SocketMessageReader, SocketMessageWriter } from 'vscode-jsonrpc/node';

export interface Link {
  /** A new client; `die` cuts its socket, as the end of its process would. */
  client(prepare: (connection: MessageConnection) => void): Promise<{ connection: MessageConnection; die: () => void }>;
  close(): Promise<void>;
}

export async function openLink(serve: (connection: MessageConnection) => void): Promise<Link> {
  const folder = mkdtempSync(join(tmpdir(), 'link-'));
  const path = join(folder, 's');
  const sockets = new Set<Socket>();
  const over = (socket: Socket): MessageConnection => {
    sockets.add(socket);
    return createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket));
  };
  const server = createServer((socket) => {
    const connection = over(socket);
    connection.listen();
    serve(connection);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    async client(prepare) {
      const socket = connect(path);
      const connection = over(socket);
      prepare(connection);
      connection.listen();
      return { connection, die: () => socket.destroy() };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          rmSync(folder, { recursive: true });
          resolve();
        });
        for (const socket of sockets) socket.destroy();
      }),
  };
}
