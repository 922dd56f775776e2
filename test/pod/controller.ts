// A small controller for the drain agent's tests: says what the test tells it to say, and remembers who asked.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly path: string | undefined;
  readonly host: string | undefined;
  readonly authorization: string | undefined;
}

/** Starts one; `answer` may be changed at any time. Port 0 picks a free one. */
export async function startController({ host = '127.0.0.1', port = 0 }: { host?: string; port?: number } = {}) {
  const asked: Asked[] = [];
  const controller = {
    asked,
    answer: { status: 200, body: JSON.stringify({ done: false, sessions: 1, calls: 0 }) },
    port: 0,
    say(done: boolean, sessions = 0): void {
      controller.answer = { status: 200, body: JSON.stringify({ done, sessions, calls: 0 }) };
    },
    refuse(status: number): void {
      controller.answer = { status, body: '' };
    },
    async close(): Promise<void> {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  const server = createServer((request, response) => {
    asked.push({ path: request.url, host: request.headers.host, authorization: request.headers.authorization });
    response.writeHead(controller.answer.status, { 'content-type': 'application/json' }).end(controller.answer.body);
  });
  server.listen(port, host);
  await once(server, 'listening');
  controller.port = (server.address() as AddressInfo).port;
  return controller;
}

export type Controller = Awaited<ReturnType<typeof startController>>;
