// What the kubelet and Prometheus ask a process of the gateway: whether it lives, is ready, may end, and its numbers.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';

/** For the whole of a request. Its answer may take longer: `/drain` waits. */
const REQUEST_TIMEOUT_MS = 10_000;

export interface ProbeServerOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** False: nothing new should be sent here. */
  readonly ready: () => boolean | Promise<boolean>;
  /** Resolves when the process may be told to end. Asked by `preStop`; undefined: it may at any time. */
  readonly drain?: () => Promise<void>;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly log: Logger;
}

export interface ProbeServer {
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

/** Serves `GET` of `/healthz`, `/readyz`, `/metrics` and `/drain`. @throws Error with one line when the address is taken. */
export async function startProbeServer({ listen, ready, drain, metrics, log }: ProbeServerOptions): Promise<ProbeServer> {
  const answer = async (path: string): Promise<{ status: number; text: string; type?: string }> => {
    switch (path) {
      case '/healthz':
        return { status: 200, text: 'alive' };
      case '/readyz':
        return (await ready()) ? { status: 200, text: 'ready' } : { status: 503, text: 'not ready' };
      case '/drain':
        await drain?.();
        return { status: 200, text: 'drained' };
      case '/metrics': {
        const { contentType, text } = await metrics();
        return { status: 200, text, type: contentType };
      }
      default:
        return { status: 404, text: 'not found' };
    }
  };
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    request.resume();
    if (request.method !== 'GET') {
      response.writeHead(405, { allow: 'GET' }).end();
      return;
    }
    answer((request.url ?? '').split('?')[0] ?? '').then(
      ({ status, text, type = 'text/plain; charset=utf-8' }) => response.writeHead(status, { 'content-type': type }).end(text),
      (err: unknown) => {
        log.error({ err }, 'probe failed');
        response.writeHead(500).end();
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? new Error(`the address ${listen.host}:${listen.port} of the probes is in use`) : error),
    );
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
