// Plain HTTP calls from the sidecar to an instance: bounded in time and size, one keep-alive pool, no redirects.

import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { limited } from '../core/within.ts';
import { type CallUpstream, type UpstreamAnswer, type UpstreamRequest, UpstreamUnreachable } from '../gateway/upstream.ts';

/** Answers above this are cut off as broken: the largest that is read here is a list of tools. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
/** Below the 5 s after which Node servers close an idle connection. */
const IDLE_MS = 4_000;
const NOT_CONNECTED: ReadonlySet<string> = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);
/** What a connection says that was taken from the pool although its server had left it. */
const STALE: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);

export interface UpstreamClient {
  readonly call: CallUpstream;
  close(): void;
}

export function createUpstreamClient(): UpstreamClient {
  const plain = new HttpAgent({ keepAlive: true, timeout: IDLE_MS, maxSockets: 256 });
  const tls = new HttpsAgent({ keepAlive: true, timeout: IDLE_MS, maxSockets: 256 });
  return {
    call: (request) => call(request, plain, tls),
    close() {
      plain.destroy();
      tls.destroy();
    },
  };
}

function call(request: UpstreamRequest, plain: HttpAgent, tls: HttpsAgent): Promise<UpstreamAnswer> {
  const { backend, instance } = request;
  const { host, port } = splitAddress(instance.address);
  const authority = backend.remote?.authority ?? request.authority;
  const secure = backend.remote?.tls ?? false;
  const auth = backend.remote?.auth;
  const body = Buffer.from(request.body);
  const signal = request.signal ? limited(request.signal, request.timeoutMs) : AbortSignal.timeout(request.timeoutMs);
  const options = {
    host,
    port,
    method: request.method,
    // Bytes above 127 in a query go on as they came; Node would refuse them as characters.
    path: Buffer.from(backend.path + (request.query ?? '')).toString('latin1'),
    headers: { ...request.headers, ...(auth && { [auth.header]: auth.value }), host: authority, 'content-length': String(body.length) },
    signal,
  };
  return new Promise((resolve, reject) => {
    const attempt = (reuse: boolean): void => {
      const fail = (error: NodeJS.ErrnoException): void => {
        if (request.signal?.aborted) reject(request.signal.reason as Error);
        // The server had closed the idle connection, or died since: a new connection tells which. Nothing that is sent here does
        // harm when it arrives twice.
        else if (outgoing.reusedSocket && STALE.has(error.code ?? '')) attempt(false);
        else reject(new UpstreamUnreachable(NOT_CONNECTED.has(error.code ?? '') ? 'refused' : 'broken', error));
      };
      const answered = (answer: IncomingMessage): void => {
        outgoing.off('error', fail).on('error', () => {});
        read(answer, request.until).then(resolve, (error: Error) => {
          if (request.signal?.aborted) reject(request.signal.reason as Error);
          else reject(new UpstreamUnreachable('broken', error));
        });
      };
      const outgoing = secure
        ? httpsRequest({ ...options, agent: reuse && tls, servername: hostOf(authority) }, answered)
        : httpRequest({ ...options, agent: reuse && plain }, answered);
      outgoing.on('error', fail);
      outgoing.end(body);
    };
    attempt(true);
  });
}

/** Reads to the end, or for an event stream until the text satisfies `until`: a server may keep such a stream open. */
function read(answer: IncomingMessage, until: ((text: Buffer) => boolean) | undefined): Promise<UpstreamAnswer> {
  const stream = (answer.headers['content-type'] ?? '').startsWith('text/event-stream');
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const done = (): void => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) });
    answer.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) {
        reject(new Error(`answer larger than ${MAX_ANSWER_BYTES} bytes`));
        answer.destroy();
        return;
      }
      // The event may be split over chunks, but it ends with a blank line.
      if (stream && until && endsEvent(chunk) && until(Buffer.concat(chunks))) {
        done();
        answer.destroy();
      }
    });
    answer.on('end', done);
    answer.on('error', reject);
    answer.on('aborted', () => reject(new Error('the connection broke in the middle of the answer')));
  });
}

function endsEvent(chunk: Buffer): boolean {
  const last = chunk.at(-1);
  return last === 0x0a || last === 0x0d;
}

function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

function hostOf(authority: string): string {
  return authority.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}
