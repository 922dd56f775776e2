// The control plane behind Envoy, at a socket or an address: the REST interface for callers with tokens of the gateway's issuers, on the same URL as the backends.

import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import type { Actor } from '../control/actor.ts';
import { type ApiAnswer, problem } from './answer.ts';
import { apiRequest, exchange } from './http-exchange.ts';
import type { InternalApi } from './internal-api.ts';
import type { Rest } from './rest.ts';

const REQUEST_TIMEOUT_MS = 30_000;
/** Above the time after which Envoy closes an idle connection. */
const KEEP_ALIVE_MS = 60_000;

export interface ControlServerOptions {
  /** A path, or an address (port 0 picks a free one). */
  readonly listen: string | { readonly host: string; readonly port: number };
  readonly rest: Rest;
  /** Asked first: what the gateway's own pods need. */
  readonly internal?: InternalApi;
  readonly authenticate: (request: IncomingMessage, signal: AbortSignal) => Actor | ApiAnswer | Promise<Actor | ApiAnswer>;
  readonly log: Logger;
}

export interface ControlServer {
  /** Undefined for a socket. */
  readonly port: number | undefined;
  close(): Promise<void>;
}

export async function startControlServer({ listen, rest, internal, authenticate, log }: ControlServerOptions): Promise<ControlServer> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) =>
    exchange(
      request,
      response,
      async (signal) =>
        internal?.(request) ??
        rest(apiRequest(request, signal), () => authenticate(request, signal)) ??
        problem(404, 'there is nothing under this path'),
      (err) => log.error({ err, requestId: request.headers['x-request-id'] }, 'control request failed'),
    ),
  );
  if (typeof listen === 'string') rmSync(listen, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if (typeof listen === 'string') server.listen(listen, () => resolve());
    else server.listen(listen.port, listen.host, () => resolve());
  });
  const bound = server.address();
  return {
    port: typeof bound === 'object' ? bound?.port : undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
