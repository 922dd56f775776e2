// The admin address of the local gateway: metrics, state and control, for this machine only.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Actor } from '../control/actor.ts';
import { createTokenCheck } from '../control/control-token.ts';
import { type ApiAnswer, problem } from './answer.ts';
import { apiRequest, exchange, pathOf } from './http-exchange.ts';
import type { Rest } from './rest.ts';

/** For the whole of a request; its answer may take longer. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Whoever holds the token: it says nothing of which person that is. */
export const TOKEN_HOLDER: Actor = { issuer: 'local', subject: 'control-token', rank: 'admin', tenant: 'default', roles: [] };

export interface AdminServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Prometheus text. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** What runs here, as JSON. */
  readonly status: () => unknown;
  readonly ready: () => boolean;
  readonly rest: Rest;
  readonly token: string;
  readonly log: Logger;
}

export interface AdminServer {
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/** @throws Error with one line when the address is taken. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { listen, metrics, status, ready, rest, token, log } = options;
  const authenticate = tokenHolder(token);

  const answer = async (request: IncomingMessage, signal: AbortSignal): Promise<ApiAnswer> => {
    const { method = '', headers } = request;
    const path = pathOf(request);
    // A web page that rebinds its name to this machine cannot choose the Host that it sends.
    if (!LOOPBACK.test(headers.host ?? '')) return plain(403, '{"error":"Host not allowed"}');
    const controlled = rest(apiRequest(request, signal), () => authenticate(headers.authorization));
    if (controlled) return controlled;
    if (method !== 'GET') return plain(405, '{"error":"Method not allowed"}');
    if (path === '/metrics') {
      const { contentType, text } = await metrics();
      return plain(200, text, contentType);
    }
    if (path === '/healthz') return plain(200, '{"status":"alive"}');
    if (path === '/readyz') return ready() ? plain(200, '{"status":"ready"}') : plain(503, '{"status":"not ready"}');
    if (path === '/status') return plain(200, JSON.stringify(status()));
    return plain(404, '{"error":"Not found"}');
  };

  const server: Server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }, (request, response) =>
    exchange(
      request,
      response,
      (signal) => answer(request, signal),
      (err) => log.error({ err }, 'admin request failed'),
    ),
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const where = `${listen.host}:${listen.port}`;
      reject(error.code === 'EADDRINUSE' ? new Error(`the admin address ${where} is in use: choose another one with --admin`) : error);
    });
    server.listen(listen.port, listen.host, () => resolve());
  });
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { host: address, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Who shows the control token is an administrator. */
export function tokenHolder(token: string): (authorization: string | undefined) => Actor | ApiAnswer {
  const showsToken = createTokenCheck(token);
  return (authorization) =>
    showsToken(authorization)
      ? TOKEN_HOLDER
      : problem(401, 'the control token is missing or wrong', { 'www-authenticate': 'Bearer' }, { code: 'unauthenticated' });
}

function plain(status: number, body: string, type = 'application/json'): ApiAnswer {
  return { status, headers: { 'content-type': type }, body };
}
