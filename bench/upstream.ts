// The upstream of the benchmark: a stateful MCP server with one tool, as fast as Node allows, so that it is never what is measured.

import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { MAX_MESSAGE_CHARS, SESSION_SEPARATOR } from './mcp-calls.ts';

/** Sessions that are kept; beyond it the oldest is forgotten, as if its client had gone. */
const MAX_SESSIONS = 500_000;

interface Message {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: { readonly arguments?: { readonly text?: string } };
}

/** Arguments: port, and the folder in which `<pod>.json` says that this instance listens. */
const [port, folder] = process.argv.slice(2) as [string, string];
const pod = `pod${port}`;
/** How many calls each session has had. */
const sessions = new Map<string, number>();

function answer(status: string, body: string, session: string | undefined): string {
  const header = session === undefined ? '' : `mcp-session-id: ${session}\r\n`;
  return `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\n${header}content-length: ${body.length}\r\n\r\n${body}`;
}

function answerTo(method: string, path: string, session: string | undefined, body: string): string {
  if (path === '/healthz') return answer('200 OK', '{}', undefined);
  if (method === 'GET') return answer('405 Method Not Allowed', '', undefined);
  if (method === 'DELETE') return answer(sessions.delete(session ?? '') ? '200 OK' : '404 Not Found', '', undefined);
  const message = JSON.parse(body) as Message;
  if (message.method === 'initialize') return answerInitialize(message);
  const calls = session === undefined ? undefined : sessions.get(session);
  if (session === undefined || calls === undefined)
    return answer('404 Not Found', '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}', undefined);
  if (message.id === undefined) return answer('202 Accepted', '', session);
  sessions.set(session, calls + 1);
  const text = JSON.stringify(message.params?.arguments?.text ?? '');
  return answer(
    '200 OK',
    `{"jsonrpc":"2.0","id":${JSON.stringify(message.id)},"result":{"content":[{"type":"text","text":${text}}],"structuredContent":{"pod":"${pod}","session":"${session}"}}}`,
    session,
  );
}

function answerInitialize(message: Message): string {
  const session = `${pod}${SESSION_SEPARATOR}${randomUUID()}`;
  if (sessions.size >= MAX_SESSIONS) sessions.delete(sessions.keys().next().value as string);
  sessions.set(session, 0);
  const result = {
    protocolVersion: '2025-06-18',
    capabilities: { tools: {} },
    serverInfo: { name: 'bench', version: '1' },
    _meta: { pod, session },
  };
  return answer('200 OK', JSON.stringify({ jsonrpc: '2.0', id: message.id, result }), session);
}

function headerOf(head: string, name: string): string | undefined {
  const at = head.indexOf(`\r\n${name}: `);
  return at < 0 ? undefined : head.slice(at + name.length + 4, head.indexOf('\r\n', at + 2));
}

/** Reads whole requests; all that is written here is ASCII, so characters are bytes. */
function serve(socket: Socket): void {
  let waiting = '';
  socket.setNoDelay(true);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    waiting += chunk.toString('latin1');
    if (waiting.length > MAX_MESSAGE_CHARS) return void socket.destroy();
    for (;;) {
      const headEnd = waiting.indexOf('\r\n\r\n');
      if (headEnd < 0) return;
      const head = waiting.slice(0, headEnd + 2);
      const end = headEnd + 4 + Number(headerOf(head, 'content-length') ?? '0');
      if (waiting.length < end) return;
      const body = waiting.slice(headEnd + 4, end);
      waiting = waiting.slice(end);
      const [method = '', path = ''] = head.slice(0, head.indexOf('\r\n')).split(' ');
      socket.write(answerTo(method, path, headerOf(head, 'mcp-session-id'), body), 'latin1');
    }
  });
}

const server = createServer(serve);
server.listen(Number(port), '127.0.0.1', () => {
  writeFileSync(join(folder, `${pod}.json`), JSON.stringify({ pod, port: Number(port), pid: process.pid }));
});
process.on('SIGTERM', () => process.exit(0));
