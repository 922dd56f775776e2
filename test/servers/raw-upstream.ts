// An upstream below MCP, inside the test's own process: answers byte for byte what a test says and records what it got.

import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The session id of every session it opens; a constant, because what is inside a sealed id is not the point here. */
export const RAW_SESSION_ID = 'raw-upstream-session';
/** The request header that names the answer to give. */
export const CASE_HEADER = 'test-case';

/** A request as it arrived. */
export interface RecordedRequest {
  readonly case: string | undefined;
  readonly method: string;
  readonly url: string;
  /** Names and values in turn, as sent. */
  readonly rawHeaders: readonly string[];
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  readonly sha256: string;
  /** Resolves with the time (ms since the epoch) at which the client broke off; never when it does not. */
  readonly aborted: Promise<number>;
}

/** Gives one answer; may take its time and write in parts. */
export type RawAnswer = (res: ServerResponse, request: RecordedRequest) => void | Promise<void>;

export interface RawUpstream {
  readonly url: string;
  readonly port: number;
  readonly requests: readonly RecordedRequest[];
  /** The answer to requests that carry `test-case: name`. */
  on(name: string, answer: RawAnswer): void;
  /** @returns the last request of that case; throws when there was none. */
  last(name: string): RecordedRequest;
  stop(): Promise<void>;
}

/** Starts an upstream on a free port. Without `test-case` it is a small MCP server: initialize, ping, notifications, and 200 at /healthz. */
export async function startRawUpstream(): Promise<RawUpstream> {
  const answers = new Map<string, RawAnswer>();
  const requests: RecordedRequest[] = [];

  const server = createServer(async (req, res) => {
    const aborted = new Promise<number>((resolve) => {
      res.once('close', () => {
        if (!res.writableFinished) resolve(Date.now());
      });
    });
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of req) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(chunks);
    const request: RecordedRequest = {
      case: req.headers[CASE_HEADER] as string | undefined,
      method: req.method ?? '',
      url: req.url ?? '',
      rawHeaders: req.rawHeaders,
      headers: req.headers,
      body,
      sha256: createHash('sha256').update(body).digest('hex'),
      aborted,
    };
    if (req.url === '/healthz') return void res.end('ok');
    requests.push(request);
    const answer = request.case === undefined ? answerAsMcp : answers.get(request.case);
    if (answer === undefined) return void res.writeHead(500).end(`no answer for ${request.case}`);
    await answer(res, request);
  });
  server.requestTimeout = 0;
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    port,
    url: `http://127.0.0.1:${port}/mcp`,
    requests,
    on: (name, answer) => void answers.set(name, answer),
    last(name) {
      const found = requests.findLast((request) => request.case === name);
      if (found === undefined) throw new Error(`no request of case ${name} reached the upstream`);
      return found;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answerAsMcp(res: ServerResponse, request: RecordedRequest): void {
  if (request.method === 'DELETE') return void res.writeHead(200).end();
  if (request.method === 'GET') return void res.writeHead(405, { allow: 'POST, DELETE' }).end();
  const message = JSON.parse(request.body.toString('utf8')) as { id?: unknown; method?: string; params?: { protocolVersion?: string } };
  if (message.id === undefined) return void res.writeHead(202).end();
  const json = (result: unknown, headers: Record<string, string> = {}): void => {
    res.writeHead(200, { 'content-type': 'application/json', ...headers });
    res.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, result }));
  };
  if (message.method !== 'initialize') return void json({});
  json(
    {
      protocolVersion: message.params?.protocolVersion ?? '2025-11-25',
      capabilities: { tools: {} },
      serverInfo: { name: 'raw', version: '1' },
    },
    { 'mcp-session-id': RAW_SESSION_ID },
  );
}
