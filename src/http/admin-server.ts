// The admin address of the local gateway: metrics, state and control, for this machine only.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { queryOf } from '../core/url-query.ts';
import type { AdminAnswer } from './admin-answer.ts';
import type { ControlRoutes } from './admin-control.ts';

/** For the whole of a request; its answer may take longer. */
const REQUEST_TIMEOUT_MS = 10_000;

export interface AdminServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Prometheus text. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** What runs here, as JSON. */
  readonly status: () => unknown;
  readonly ready: () => boolean;
  readonly control: ControlRoutes;
}

export interface AdminServer {
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/** @throws Error with one line when the address is taken. */
export async function startAdminServer({ listen, metrics, status, ready, control }: AdminServerOptions): Promise<AdminServer> {
  const answer = async (request: IncomingMessage, signal: AbortSignal): Promise<AdminAnswer> => {
    const { method = '', url = '', headers } = request;
    const path = url.split('?')[0] ?? '';
    // A web page that rebinds its name to this machine cannot choose the Host that it sends.
    if (!LOOPBACK.test(headers.host ?? '')) return plain(403, '{"error":"Host not allowed"}');
    const controlled = control({
      method,
      path,
      query: queryOf(url).slice(1),
      authorization: headers.authorization,
      origin: headers.origin,
      signal,
      hasBody: headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0,
    });
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

  const server: Server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    answer(request, gone.signal).then(
      ({ status: code, headers, body }) => {
        response.writeHead(code, headers);
        if (typeof body === 'string') response.end(body);
        else {
          // Who asks learns that it has begun, although nothing may be said for long.
          response.flushHeaders();
          void pipeline(body, response).catch(() => {});
        }
      },
      () => response.writeHead(500, { 'content-type': 'application/json' }).end('{"error":"Internal error"}'),
    );
  });
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

function plain(status: number, body: string, type = 'application/json'): AdminAnswer {
  return { status, headers: { 'content-type': type }, body };
}
