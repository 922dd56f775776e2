// One HTTP exchange of Node with the REST interface: reads what it asks for, writes what it answers.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { finished, pipeline } from 'node:stream/promises';
import { ControlRefusal } from '../control/refusal.ts';
import { queryOf } from '../core/url-query.ts';
import { within } from '../core/within.ts';
import type { ApiAnswer } from './answer.ts';
import type { ApiRequest } from './rest.ts';

const MAX_BODY_BYTES = 1_048_576;
/** What is taken off the line of a body that nobody wants, before its answer. */
const MAX_DRAINED_BYTES = 16_777_216;
/** How long a client may go on sending what nobody wants: so long before its answer, and so long after it. */
const LINGER_MS = 5_000;

export const pathOf = ({ url = '' }: IncomingMessage): string => url.split('?')[0] ?? '';

export function apiRequest(request: IncomingMessage, signal: AbortSignal): ApiRequest {
  const { method = '', url = '', headers } = request;
  return {
    method,
    path: pathOf(request),
    query: queryOf(url).slice(1),
    headers,
    origin: headers.origin,
    accept: headers.accept,
    contentType: headers['content-type'],
    ifMatch: headers['if-match'],
    hasBody: hasBody(request),
    body: () => bodyOf(request),
    signal,
  };
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  // What is not read here is read after the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new ControlRefusal('too-large', `the body is larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new ControlRefusal('invalid', 'the body is not UTF-8');
  }
}

/** Answers with what `answer` makes of the request; 500 without a word about why when it fails. */
export function exchange(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (signal: AbortSignal) => Promise<ApiAnswer>,
  onError: (error: unknown) => void,
): void {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const written = answer(gone.signal).then(async ({ status, headers, body }) => {
    // An answer that comes while its request is still being sent is lost in many clients: Envoy closes the connection with it.
    if (!request.complete && hasBody(request)) await drained(request);
    // Whoever still goes on sending is not waited for.
    const unread = !request.complete && hasBody(request);
    const length = typeof body === 'string' && status !== 204 ? { 'content-length': Buffer.byteLength(body) } : {};
    response.writeHead(status, { ...headers, ...length, ...(unread && { connection: 'close' }) });
    if (typeof body === 'string') {
      if (unread) void lastWord(request, response, body);
      else response.end(body);
    } else {
      // Who asks learns that it has begun, although nothing may be said for long.
      response.flushHeaders();
      void pipeline(body, response).catch(() => {});
    }
  });
  written.catch((error: unknown) => {
    onError(error);
    if (response.destroyed || response.headersSent) return void response.destroy();
    response.writeHead(500, { 'content-type': 'application/problem+json', connection: 'close' });
    response.end(
      '{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"this is a mistake of the gateway: see its log"}',
    );
  });
}

/** Takes what is left of the body off the line, as far as there is an end to it. */
function drained(request: IncomingMessage): Promise<void> {
  let left = MAX_DRAINED_BYTES;
  return new Promise((resolve) => {
    const enough = (): void => {
      clearTimeout(timer);
      request.pause();
      resolve();
    };
    const timer = setTimeout(enough, LINGER_MS);
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) enough();
    });
    request.once('end', enough).once('close', enough);
  });
}

/**
 * Ends a connection whose client may still be sending. Closed at once, it would be reset, and the client, or Envoy on its behalf, could lose
 * the answer that it has not read yet: so the answer goes first, and what is sent meanwhile is read and forgotten.
 */
async function lastWord(request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
  response.write(body);
  await within(finished(request.resume(), { writable: false }), LINGER_MS).catch(() => {});
  response.end();
}
