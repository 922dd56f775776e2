// A stateful server on SDK 1.x whose sessions live in its memory, with a journal of what it processed and switches for bad manners.

import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createCounterMcp } from './counter-mcp.ts';
import { createJournal } from './journal.ts';
import { listen } from './listen.ts';
import { readBody } from './request-body.ts';

/**
 * Settings, all from the environment:
 * COUNTER_JOURNAL file to append to · COUNTER_UNKNOWN_SESSION 404 (default) or 400 · COUNTER_SESSION_IDS `odd`: 300 characters with `_.~-` ·
 * COUNTER_JSON `1`: JSON answers instead of SSE · COUNTER_START_DELAY_MS before it listens · COUNTER_FAIL_START `1`: exit before that.
 * SIGUSR2 makes the running process forget all its sessions.
 */
const env = process.env;
const journal = createJournal(env['COUNTER_JOURNAL']);
const sessions = new Map<string, StreamableHTTPServerTransport>();
const ODD_ID_LENGTH = 300;

interface RpcMessage {
  readonly id?: string | number;
  readonly method?: string;
  readonly params?: { readonly name?: string; readonly arguments?: Readonly<Record<string, unknown>> };
}

/** What the tool `http_answer` is told to send, below MCP. */
interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Send every internal header of the request back as a response header. */
  readonly echoInternal?: boolean;
}

function newSessionId(): string {
  if (env['COUNTER_SESSION_IDS'] !== 'odd') return randomUUID();
  return `_.~-${randomBytes(ODD_ID_LENGTH).toString('hex')}`.slice(0, ODD_ID_LENGTH - 4).concat('-~._');
}

function writeJournal(message: RpcMessage, session: string | undefined): void {
  if (message.method === undefined) return;
  const { name, arguments: args } = message.params ?? {};
  journal({
    event: 'message',
    method: message.method,
    ...(session !== undefined && { session }),
    ...(message.id !== undefined && { id: message.id }),
    ...(message.method === 'tools/call' && name !== undefined && { tool: name }),
    ...(typeof args?.['tag'] === 'string' && { tag: args['tag'] }),
    ...(['initialize', 'logging/setLevel', 'resources/subscribe'].includes(message.method) && { params: message.params }),
  });
}

/** The `messages` open it: they are in the journal before the answer leaves. */
async function openSession(messages: readonly RpcMessage[]): Promise<StreamableHTTPServerTransport> {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: newSessionId,
    enableJsonResponse: env['COUNTER_JSON'] === '1',
    onsessioninitialized: (session) => {
      sessions.set(session, transport);
      journal({ event: 'opened', session });
      for (const message of messages) writeJournal(message, session);
    },
    onsessionclosed: (session) => {
      sessions.delete(session);
      journal({ event: 'ended', session });
    },
  });
  await createCounterMcp().connect(transport as Parameters<ReturnType<typeof createCounterMcp>['connect']>[0]);
  return transport;
}

function refuseUnknownSession(res: ServerResponse): void {
  const answer =
    env['COUNTER_UNKNOWN_SESSION'] === '400'
      ? { status: 400, error: { code: -32000, message: 'Bad Request: No valid session ID provided' } }
      : { status: 404, error: { code: -32001, message: 'Session not found' } };
  res.writeHead(answer.status, { 'content-type': 'application/json' });
  res.end(JSON.stringify({ jsonrpc: '2.0', error: answer.error, id: null }));
}

function answerBelowMcp(req: IncomingMessage, res: ServerResponse, answer: HttpAnswer): void {
  const copied = Object.entries(req.headers).filter(([name]) => answer.echoInternal === true && name.startsWith('x-mcp-'));
  res.writeHead(answer.status, { ...Object.fromEntries(copied), ...answer.headers });
  res.end(answer.body ?? '');
}

async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.url === '/healthz') return void res.end('ok');
  const raw = await readBody(req);
  const body: unknown = raw.length > 0 ? JSON.parse(raw.toString('utf8')) : undefined;
  const messages = (Array.isArray(body) ? body : body === undefined ? [] : [body]) as RpcMessage[];
  const id = req.headers['mcp-session-id'];
  if (typeof id === 'string') {
    const transport = sessions.get(id);
    if (transport === undefined) return refuseUnknownSession(res);
    for (const message of messages) writeJournal(message, id);
    const first = messages[0]?.params;
    if (first?.name === 'http_answer') return answerBelowMcp(req, res, first.arguments?.['answer'] as HttpAnswer);
    if (req.method === 'GET') journal({ event: 'stream', session: id });
    return transport.handleRequest(req, res, body);
  }
  if (!messages.some((message) => message.method === 'initialize')) {
    res.writeHead(400, { 'content-type': 'application/json' });
    res.end('{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Mcp-Session-Id header is required"},"id":null}');
    return;
  }
  const transport = await openSession(messages);
  await transport.handleRequest(req, res, body);
}

process.on('SIGUSR2', () => {
  const lost = [...sessions.values()];
  sessions.clear();
  journal({ event: 'forgot', count: lost.length });
  for (const transport of lost) void transport.close();
});

if (env['COUNTER_FAIL_START'] === '1') process.exit(3);
await wait(Number(env['COUNTER_START_DELAY_MS'] ?? 0));
journal({ event: 'started' });
await listen(
  createServer((req, res) => {
    handle(req, res).catch((error: unknown) => {
      console.error(error);
      res.destroy();
    });
  }),
);
