// A server on SDK 1.x without sessions: every request stands alone and tells the pid that answered it.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createCounterMcp } from './counter-mcp.ts';
import { listen } from './listen.ts';
import { readBody } from './request-body.ts';

/** STATELESS_LEAKS_ID: a session id that this server puts on its answers although it has no sessions. */
const leakedId = process.env['STATELESS_LEAKS_ID'];

async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.url === '/healthz') return void res.end('ok');
  const raw = await readBody(req);
  if (leakedId !== undefined) res.setHeader('mcp-session-id', leakedId);
  const server = createCounterMcp();
  const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true } as ConstructorParameters<
    typeof StreamableHTTPServerTransport
  >[0]);
  await server.connect(transport as Parameters<typeof server.connect>[0]);
  res.once('close', () => void server.close());
  await transport.handleRequest(req, res, raw.length > 0 ? JSON.parse(raw.toString('utf8')) : undefined);
}

await listen(
  createServer((req, res) => {
    handle(req, res).catch((error: unknown) => {
      console.error(error);
      res.destroy();
    });
  }),
);
