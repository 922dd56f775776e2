// One HTTP exchange of Node with the REST interface: reads what it asks for, writes what it answers.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { ControlRefusal } from '../control/refusal.ts';
import { queryOf } from '../core/url-query.ts';
import type { ApiAnswer } from './answer.ts';
import type { ApiRequest } from './rest.ts';

const MAX_BODY_BYTES = 1_048_576;
/** What is taken off the line of a body that nobody wants, on top of what has been read. */
const MAX_DRAINED_BYTES = 16_777_216;

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
    hasBody: headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0,
    body: () => bodyOf(request),
    signal,
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  // The end of the loop must not be the end of the connection, on which the answer has yet to go.
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
    // A client that still sends could lose the answer with the connection: Envoy makes a 503 of that.
    if (request.method !== 'GET') await drained(request);
    const length = typeof body === 'string' && status !== 204 ? { 'content-length': Buffer.byteLength(body) } : {};
    response.writeHead(status, { ...headers, ...length, ...(!request.complete && request.method !== 'GET' && { connection: 'close' }) });
    if (typeof body === 'string') response.end(body);
    else {
      // Who asks learns that it has begun, although nothing may be said for long.
      response.flushHeaders();
      void pipeline(body, response).catch(() => {});
    }
  });
  written.catch((error: unknown) => {
    if (response.destroyed) return;
    onError(error);
    response.writeHead(500, { 'content-type': 'application/problem+json', connection: 'close' });
    response.end(
      '{"type":"about:blank","title":"Internal Server Error","status":500,"detail":"this is a mistake of the gateway: see its log"}',
    );
  });
}

/** Takes what is left of the body off the line, as far as there is an end to it. */
function drained(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return Promise.resolve();
  let left = MAX_DRAINED_BYTES;
  return new Promise((resolve) => {
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) resolve();
    });
    request.once('end', resolve).once('close', resolve);
  });
}
