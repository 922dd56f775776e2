// One small HTTP request for a probe: a connection of its own, no redirects, bounded in time and size.

import { type IncomingHttpHeaders, type RequestOptions, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';

/** A probe that takes longer has failed. */
export const PROBE_TIMEOUT_MS = 3000;
const MAX_ANSWER_BYTES = 262_144;

/** Where a probe goes: a numeric address, and what the server is called when it is a remote one. */
export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly remote: RemoteTarget | undefined;
}

export interface RemoteTarget {
  readonly authority: string;
  readonly hostname: string;
  readonly tls: boolean;
  /** The header of `upstreamAuth`. */
  readonly auth?: { readonly header: string; readonly value: string } | undefined;
}

export interface ProbeRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Called with what has arrived so far; true ends the reading (an event stream may stay open after the answer). */
  readonly enough?: (body: string) => boolean;
}

export interface ProbeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Sends one request and reads its answer. Rejects with a short message when there is none in time, or `signal` aborts. */
export function probeRequest(target: ProbeTarget, request: ProbeRequest, signal: AbortSignal): Promise<ProbeAnswer> {
  const { remote } = target;
  const options: RequestOptions & { servername?: string } = {
    host: target.host,
    port: target.port,
    method: request.method,
    path: request.path,
    agent: false,
    headers: {
      'user-agent': 'mcp-gateway-probe',
      connection: 'close',
      ...(remote === undefined ? {} : { host: remote.authority }),
      ...(request.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(request.body)) }),
      ...request.headers,
      ...(remote?.auth === undefined ? {} : { [remote.auth.header]: remote.auth.value }),
    },
    // A server named by its address has no name to be told (RFC 6066, section 3).
    ...(remote?.tls === true && isIP(remote.hostname) === 0 ? { servername: remote.hostname } : {}),
  };
  return new Promise<ProbeAnswer>((resolve, reject) => {
    const outgoing = (remote?.tls === true ? requestHttps : requestHttp)(options, (incoming) => {
      let body = '';
      const finish = (): void => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body });
        outgoing.destroy();
      };
      incoming.setEncoding('utf8');
      incoming.on('data', (chunk: string) => {
        body += chunk;
        if (body.length > MAX_ANSWER_BYTES || request.enough?.(body) === true) {
          finish();
        }
      });
      incoming.on('end', finish);
      incoming.on('error', (error) => reject(describe(error)));
      // A stream without end whose status already says everything need not be read.
      if (request.enough === undefined && String(incoming.headers['content-type'] ?? '').startsWith('text/event-stream')) {
        finish();
      }
    });
    outgoing.on('error', (error) => reject(describe(error)));
    // By hand, because AbortSignal.any() on a signal that lives for days keeps memory for each probe on Node 20.
    const abort = (): void => void outgoing.destroy(new Error('stopped'));
    const timer = setTimeout(() => outgoing.destroy(new Error(`no answer within ${PROBE_TIMEOUT_MS} ms`)), PROBE_TIMEOUT_MS);
    signal.addEventListener('abort', abort, { once: true });
    outgoing.on('close', () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      reject(new Error('connection closed'));
    });
    if (signal.aborted) {
      abort();
    }
    outgoing.end(request.body);
  });
}

function describe(error: Error & { code?: string }): Error {
  return new Error(error.code ?? error.message, { cause: error });
}
