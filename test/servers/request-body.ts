// Reads a request's body in the test servers.

import type { IncomingMessage } from 'node:http';

/** @returns the whole body; rejects when the client breaks off. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
