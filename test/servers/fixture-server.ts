// A server with all conformance fixtures, both eras at one URL: sessions for legacy clients, one instance per request for modern ones.

import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  localhostHostValidation,
  localhostOriginValidation,
  type NodeIncomingMessageLike,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
  toWebRequest,
} from '@modelcontextprotocol/node';
import { createMcpHandler, InMemoryServerEventBus, isLegacyRequest, McpServer, type ServerNotifier } from '@modelcontextprotocol/server';
import { registerInputRequired, registerPushDialogues, stateCodec } from './fixture-dialogues.ts';
import { registerPrompts, registerResources } from './fixture-documents.ts';
import { type ChangeNotices, registerPlainTools, registerStreamingTools } from './fixture-tools.ts';
import { listen } from './listen.ts';
import { createReplayStore } from './replay-store.ts';

const CACHE_HINT = { ttlMs: 0, cacheScope: 'private' } as const;
/** Told to clients that lose their stream; short, so that tests do not wait. */
const RETRY_INTERVAL_MS = 200;

function createFixtureServer(notices: ChangeNotices): McpServer {
  const server = new McpServer(
    { name: 'fixture-server', version: '1.0.0' },
    {
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        logging: {},
        completions: {},
      },
      cacheHints: {
        'tools/list': CACHE_HINT,
        'prompts/list': CACHE_HINT,
        'resources/list': CACHE_HINT,
        'resources/templates/list': CACHE_HINT,
        'resources/read': CACHE_HINT,
      },
      requestState: { verify: stateCodec.verify },
    },
  );
  registerPlainTools(server, notices);
  registerStreamingTools(server);
  registerPushDialogues(server);
  registerInputRequired(server);
  registerResources(server);
  registerPrompts(server);
  return server;
}

const sessions = new Map<string, NodeStreamableHTTPServerTransport>();

async function openSession(): Promise<NodeStreamableHTTPServerTransport> {
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    eventStore: createReplayStore(),
    retryInterval: RETRY_INTERVAL_MS,
    onsessioninitialized: (id) => void sessions.set(id, transport),
    onsessionclosed: (id) => void sessions.delete(id),
  });
  const server: McpServer = createFixtureServer({
    toolsChanged: () => server.sendToolListChanged(),
    promptsChanged: () => server.sendPromptListChanged(),
  });
  await server.connect(transport);
  return transport;
}

async function serveLegacy(req: IncomingMessage, res: ServerResponse, body: unknown): Promise<void> {
  const id = req.headers['mcp-session-id'];
  if (typeof id === 'string') {
    const transport = sessions.get(id);
    if (transport !== undefined) return transport.handleRequest(req, res, body);
    res.writeHead(404, { 'content-type': 'application/json' });
    res.end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}');
    return;
  }
  const transport = await openSession();
  await transport.handleRequest(req, res, body);
  if (transport.sessionId === undefined) await transport.close();
}

const bus = new InMemoryServerEventBus();
const modern = createMcpHandler(() => createFixtureServer(modernNotices), { legacy: 'reject', bus });
const notify: ServerNotifier = modern.notify;
const modernNotices: ChangeNotices = { toolsChanged: () => notify.toolsChanged(), promptsChanged: () => notify.promptsChanged() };
const serveModern = toNodeHandler(modern);
const validHost = localhostHostValidation();
const validOrigin = localhostOriginValidation();

async function handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
  if (req.url === '/healthz') return void res.end('ok');
  if (!validHost(req, res) || !validOrigin(req, res)) return;
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  const raw = Buffer.concat(chunks).toString('utf8');
  let body: unknown;
  try {
    body = raw === '' ? undefined : JSON.parse(raw);
  } catch {
    res.writeHead(400, { 'content-type': 'application/json' });
    res.end('{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}');
    return;
  }
  const nodeRequest = req as NodeIncomingMessageLike;
  if (await isLegacyRequest(await toWebRequest(nodeRequest, body), body)) return serveLegacy(req, res, body);
  await serveModern(nodeRequest, res, body);
}

await listen(
  createServer((req, res) => {
    handle(req, res).catch((error: unknown) => {
      console.error(error);
      res.destroy();
    });
  }),
);
