// The control socket behind Envoy: the REST interface for callers with tokens of the gateway's issuers, on the same URL as the backends.

import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import type { Actor } from '../control/actor.ts';
import { type ApiAnswer, problem } from './answer.ts';
import { apiRequest, exchange } from './http-exchange.ts';
import type { Rest } from './rest.ts';

const REQUEST_TIMEOUT_MS = 30_000;
/** Above the time after which Envoy closes an idle connection. */
const KEEP_ALIVE_MS = 60_000;

export interface ControlServerOptions {
  readonly socket: string;
  readonly rest: Rest;
  readonly authenticate: (request: IncomingMessage, signal: AbortSignal) => Actor | ApiAnswer | Promise<Actor | ApiAnswer>;
  readonly log: Logger;
}

export async function startControlServer({ socket, rest, authenticate, log }: ControlServerOptions): Promise<{ close(): Promise<void> }> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) =>
    exchange(
      request,
      response,
      async (signal) =>
        rest(apiRequest(request, signal), () => authenticate(request, signal)) ?? problem(404, 'there is nothing under this path'),
      (err) => log.error({ err, requestId: request.headers['x-request-id'] }, 'control request failed'),
    ),
  );
  rmSync(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, () => resolve());
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
