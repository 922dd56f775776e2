// The sidecar's HTTP socket behind Envoy: recovery of retried requests, readiness, and a clean 404 for everything unknown.

import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { Addressed } from '../gateway/public-url.ts';
import { refuse } from '../gateway/refusal.ts';
import type { Answer } from '../gateway/request.ts';
import { followTlsFiles, readTlsFiles, type TlsFiles } from './mutual-tls.ts';
import { type AnswerRetry, isRetry } from './recovery-endpoint.ts';
import { type AnswerWellKnown, WELL_KNOWN_PREFLIGHT } from './well-known.ts';

/** Envoy replays at most 1 MiB; a little more is read so that its own limit decides. */
const MAX_BODY_BYTES = 2 * 1024 * 1024;
/** Envoy asks another sidecar when one cannot be reached, but this is the answer: a 404 of ours must not be taken for one of an instance. */
const FINAL = ['x-envoy-ratelimited', 'true'] as const;

const TIMES = { keepAliveTimeout: 60_000, requestTimeout: 0 };

export interface SidecarServerOptions {
  readonly socket: string;
  /** A port for an Envoy elsewhere, with mutual TLS. */
  readonly edge?: { readonly listen: { readonly host: string; readonly port: number }; readonly tls: TlsFiles } | undefined;
  readonly answerRetry: AnswerRetry;
  readonly answerWellKnown: AnswerWellKnown;
  readonly ready: () => boolean;
  readonly log: Logger;
}

export interface SidecarServer {
  /** The port of `edge`. */
  readonly edgePort: number | undefined;
  close(): Promise<void>;
}

export async function startSidecarServer({
  socket,
  edge,
  answerRetry,
  answerWellKnown,
  ready,
  log,
}: SidecarServerOptions): Promise<SidecarServer> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<Answer> => {
    if (isRetry(request)) {
      const gone = new AbortController();
      response.on('close', () => gone.abort(new Error('the client has gone')));
      const said = await answerRetry(request, await readBody(request), gone.signal);
      return { ...said, headers: [...said.headers, FINAL] };
    }
    const path = (request.url ?? '').split('?')[0] ?? '';
    if (path === '/readyz') return readiness(ready());
    const document = answerWellKnown(path, addressedBy(request));
    if (!document) return refuse('unknown_path');
    if (request.method === 'OPTIONS') return WELL_KNOWN_PREFLIGHT;
    if (request.method === 'GET' || request.method === 'HEAD') return document;
    return refuse('method_not_allowed', { headers: [['allow', 'GET, HEAD, OPTIONS']] });
  };

  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    // Writing may throw too: what a client sent is in some answers, and Node refuses it as a header value.
    answer(request, response)
      .then((decided) => write(response, decided))
      .catch((err: unknown) => {
        if (response.destroyed) return;
        log.error({ err, requestId: request.headers['x-request-id'] }, 'answer failed');
        write(response, refuse('internal_error'));
      });
  };
  const server = createServer(TIMES, onRequest);
  rmSync(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, () => resolve());
  });
  if (edge === undefined) return { edgePort: undefined, close: () => closeServer(server) };
  const demand = { requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' } as const;
  const others = createTlsServer({ ...TIMES, ...demand, ...readTlsFiles(edge.tls) }, onRequest);
  const unfollow = followTlsFiles(edge.tls, (files) => others.setSecureContext({ ...demand, ...files }), log);
  await new Promise<void>((resolve, reject) => {
    others.once('error', reject);
    others.listen(edge.listen.port, edge.listen.host, () => resolve());
  });
  return {
    edgePort: (others.address() as AddressInfo).port,
    async close() {
      unfollow();
      await Promise.all([closeServer(server), closeServer(others)]);
    },
  };
}

/** As Envoy passes it on: the Host is the client's, the scheme is Envoy's own or that of a proxy which it trusts. */
function addressedBy({ headers }: IncomingMessage): Addressed {
  const one = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value);
  const scheme = one(headers['x-forwarded-proto']) === 'https' ? 'https' : 'http';
  return { scheme, authority: headers.host ?? '', forwardedHost: one(headers['x-forwarded-host']) };
}

function readiness(ready: boolean): Answer {
  return {
    kind: 'answer',
    status: ready ? 200 : 503,
    headers: [['content-type', 'application/json']],
    body: JSON.stringify({ status: ready ? 'ready' : 'not ready' }),
    facts: {},
  };
}

function write(response: ServerResponse, { status, headers, body }: Answer): void {
  // Bytes above 127 came as UTF-8 and go out as the same bytes: Node writes header values as Latin-1.
  response.writeHead(
    status,
    headers.flatMap(([name, value]) => [name, Buffer.from(value).toString('latin1')]),
  );
  response.end(body);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error(`replayed body larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Ends idle connections at once; those with a request under way finish first. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
