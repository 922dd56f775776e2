// The body of a POST, if its headers are what MCP asks for and it is not too large.

import type { IncomingMessage } from 'node:http';
import { bodyTooLarge, notAcceptablePost, type Refusal, unsupportedMedia } from './answers.ts';

/** The whole body, or why it is refused. Rejects when the client leaves before its end. */
export async function readPost(request: IncomingMessage, maxBytes: number): Promise<Buffer | Refusal> {
  const { accept = '', 'content-type': type = '', 'content-encoding': encoding = 'identity' } = request.headers;
  if (!accept.includes('application/json') || !accept.includes('text/event-stream')) {
    return notAcceptablePost;
  }
  const [media = '', ...parameters] = type
    .toLowerCase()
    .split(';')
    .map((part) => part.trim());
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.replace(/^charset="?|"$/g, '');
  // What is not UTF-8 here would reach the server process as something else than the client wrote.
  if (media !== 'application/json' || encoding !== 'identity' || (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8')) {
    return unsupportedMedia;
  }
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) {
    return bodyTooLarge(maxBytes);
  }
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) {
      return bodyTooLarge(maxBytes);
    }
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}
