// The admin address of the local gateway: metrics and state, for this machine only.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface AdminServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Prometheus text. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  /** What runs here, as JSON. */
  readonly status: () => unknown;
  readonly ready: () => boolean;
}

export interface AdminServer {
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/;

/** @throws Error with one line when the address is taken. */
export async function startAdminServer({ listen, metrics, status, ready }: AdminServerOptions): Promise<AdminServer> {
  const answer = async (method: string, path: string, host: string): Promise<[status: number, type: string, body: string]> => {
    // A web page that rebinds its name to this machine cannot choose the Host that it sends.
    if (!LOOPBACK.test(host)) return [403, 'application/json', '{"error":"Host not allowed"}'];
    if (method !== 'GET') return [405, 'application/json', '{"error":"Method not allowed"}'];
    if (path === '/metrics') {
      const { contentType, text } = await metrics();
      return [200, contentType, text];
    }
    if (path === '/healthz') return [200, 'application/json', '{"status":"alive"}'];
    if (path === '/readyz')
      return ready() ? [200, 'application/json', '{"status":"ready"}'] : [503, 'application/json', '{"status":"not ready"}'];
    if (path === '/status') return [200, 'application/json', JSON.stringify(status())];
    return [404, 'application/json', '{"error":"Not found"}'];
  };

  const server: Server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    answer(request.method ?? '', path, request.headers.host ?? '').then(
      ([code, type, body]) => response.writeHead(code, { 'content-type': type }).end(body),
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
