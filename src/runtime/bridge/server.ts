// The stdio bridge: Streamable HTTP of the legacy versions in front of a stdio server, one process per session.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Writable } from 'node:stream';
import type { Logger } from 'pino';
import * as answers from './answers.ts';
import { BRIDGE_LIMITS, type BridgeLimits } from './limits.ts';
import { type Message, readMessages } from './message.ts';
import { refuseVersion } from './protocol-version.ts';
import { readPost } from './request-body.ts';
import { type BridgeSession, createSession } from './session.ts';
import { type ServerCommand, type StdioChild, startChild } from './stdio-child.ts';

/** Envoy keeps connections open and may send at any time: closing them early would race with its next request. */
const KEEP_ALIVE_TIMEOUT_MS = 3_600_000;
const MAX_HEADER_BYTES = 131_072;
const SESSION_ID_BYTES = 24;
const SWEEPS_PER_IDLE_TIME = 10;
const LONGEST_SWEEP_MS = 30_000;

export interface BridgeOptions extends Omit<ServerCommand, 'env' | 'cwd'> {
  /** 0 picks a free one. */
  readonly port: number;
  /** All addresses of this machine, of both families, when absent. */
  readonly host?: string;
  /** Where MCP is served, e.g. `/mcp`; `/healthz` is served beside it. */
  readonly path: string;
  /** The server processes' environment and folder; the bridge's own when absent. */
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly log: Logger;
  /** Gets what the server processes write to stderr. */
  readonly errorOutput: Writable;
  readonly limits?: Partial<BridgeLimits>;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

export interface Bridge {
  readonly port: number;
  /** Ends all sessions and their processes; bounded (about 3 s). */
  close(): Promise<void>;
}

interface Entry {
  readonly session: BridgeSession;
  readonly end: () => void;
}

/** Starts listening. Rejects when the port cannot be had. */
export async function startBridge(options: BridgeOptions): Promise<Bridge> {
  const { log, errorOutput, now = () => performance.now() } = options;
  const limits = { ...BRIDGE_LIMITS, ...options.limits };
  const sessions = new Map<string, Entry>();
  const leaving = new Set<Promise<void>>();
  const command: ServerCommand = { command: options.command, args: options.args, env: options.env, cwd: options.cwd };
  let serial = 0;
  let starting = 0;
  let closing = false;

  async function open(message: Message, response: ServerResponse): Promise<void> {
    if (closing || sessions.size + starting >= limits.sessions) {
      answers.refuse(response, { ...answers.tooManySessions, id: message.rawId });
      return;
    }
    const id = randomBytes(SESSION_ID_BYTES).toString('base64url');
    serial += 1;
    const sessionLog = log.child({ session: serial });
    let child: StdioChild | undefined;
    const session = createSession({ id, child: () => child, limits, log: sessionLog, now });
    starting += 1;
    try {
      child = await startChild({
        server: command,
        onLine: session.takeLine,
        onTooLong: () => sessionLog.error({ maxBytes: limits.lineBytes }, 'server wrote a line that is too long; it is lost'),
        errorOutput,
        prefix: `[session ${serial}] `,
        maxLineBytes: limits.lineBytes,
        maxWaitingBytes: limits.inputBytes,
      });
    } catch (error) {
      sessionLog.error({ code: (error as NodeJS.ErrnoException).code, command: command.command }, 'server process cannot be started');
      const text = 'Internal error: the server process cannot be started';
      answers.refuse(response, { status: 500, code: -32603, message: text, id: message.rawId });
      return;
    } finally {
      starting -= 1;
    }
    begin({ id, session, child, log: sessionLog, message, response });
  }

  function begin(started: {
    id: string;
    session: BridgeSession;
    child: StdioChild;
    log: Logger;
    message: Message;
    response: ServerResponse;
  }): void {
    const { id, session, child, message, response } = started;
    let answered = false;
    const end = (reason: string): void => {
      if (sessions.delete(id)) {
        clearTimeout(late);
        session.fail(reason);
        const gone = child.stop();
        leaving.add(gone);
        void gone.finally(() => leaving.delete(gone));
        started.log.info({ reason }, 'session ended');
      }
    };
    const late = setTimeout(() => (answered ? undefined : end('no answer to initialize')), limits.initializeMs);
    sessions.set(id, { session, end: () => end('the session was ended') });
    void child.ended.then((reason) => end(reason));
    response.once('finish', () => {
      answered = true;
    });
    started.log.info({ process: child.pid }, 'session started');
    session.post([message], response, { onFailure: () => end('initialize failed') });
    if (closing || response.destroyed) {
      end('closing');
    }
  }

  async function onPost(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readPost(request, limits.bodyBytes);
    if (!Buffer.isBuffer(body)) {
      answers.refuse(response, body);
      return;
    }
    const read = readMessages(body);
    if (typeof read === 'string') {
      answers.refuse(response, read === 'not-json' ? answers.notJson : answers.notRpc);
      return;
    }
    const { messages } = read;
    const id = messages.find(({ kind }) => kind === 'request')?.rawId;
    const initialize = messages.find(({ kind, method }) => kind === 'request' && method === 'initialize');
    const refusal =
      whyNot(request, { messages, initialize }) ?? (initialize === undefined ? refuseVersion(version(request), id) : undefined);
    if (refusal !== undefined) {
      answers.refuse(response, { ...refusal, id });
      return;
    }
    if (initialize !== undefined) {
      await open(initialize, response);
      return;
    }
    const entry = find(request);
    if ('session' in entry) {
      entry.session.post(messages, response);
    } else {
      answers.refuse(response, { ...entry, id });
    }
  }

  function whyNot(request: IncomingMessage, { messages, initialize }: { messages: readonly Message[]; initialize: Message | undefined }) {
    if (messages.length > limits.batch) {
      return answers.batchTooLarge(limits.batch);
    }
    if (initialize === undefined) {
      return undefined;
    }
    if (messages.length > 1) {
      return answers.initializeAlone;
    }
    const entry = sessionId(request) === undefined ? undefined : find(request);
    return entry === undefined ? undefined : 'session' in entry ? answers.alreadyInitialized : entry;
  }

  function find(request: IncomingMessage): Entry | answers.Refusal {
    const id = sessionId(request);
    return id === undefined ? answers.sessionMissing : (sessions.get(id) ?? answers.sessionNotFound);
  }

  function onGetOrDelete(request: IncomingMessage, response: ServerResponse): void {
    if (request.method === 'GET' && request.headers.accept?.includes('text/event-stream') !== true) {
      answers.refuse(response, answers.notAcceptableGet);
      return;
    }
    const versionRefusal = refuseVersion(version(request), undefined);
    const entry = versionRefusal ?? find(request);
    if (!('session' in entry)) {
      answers.refuse(response, entry);
    } else if (request.method === 'GET') {
      entry.session.listen(response);
    } else {
      entry.end();
      response.writeHead(200).end();
    }
  }

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?')[0];
    if (path === '/healthz' && (request.method === 'GET' || request.method === 'HEAD')) {
      response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
    } else if (path !== options.path) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end(`MCP is served at ${options.path}\n`);
    } else if (request.method === 'POST') {
      await onPost(request, response);
    } else if (request.method === 'GET' || request.method === 'DELETE') {
      onGetOrDelete(request, response);
    } else {
      answers.refuse(response, answers.methodNotAllowed);
    }
  }

  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS }, (request, response) => {
    route(request, response).catch((error: Error) => {
      // The client left while its body was being read; anything else is a bug worth a line.
      log.warn({ error: error.message }, 'request failed');
      answers.refuse(response, { status: 500, code: -32603, message: 'Internal server error' });
    });
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');

  const sweep = setInterval(
    () => {
      for (const { session, end } of [...sessions.values()].filter(({ session }) => now() - session.lastUse() >= limits.idleMs)) {
        log.info({ idleMs: Math.round(now() - session.lastUse()) }, 'session idle');
        end();
      }
    },
    Math.min(limits.idleMs / SWEEPS_PER_IDLE_TIME, LONGEST_SWEEP_MS),
  );

  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      closing = true;
      clearInterval(sweep);
      const closed = once(server, 'close');
      server.close();
      for (const { end } of [...sessions.values()]) {
        end();
      }
      await Promise.all(leaving);
      server.closeAllConnections();
      await closed;
    },
  };
}

function sessionId(request: IncomingMessage): string | undefined {
  const id = request.headers['mcp-session-id'];
  return typeof id === 'string' && id !== '' ? id : undefined;
}

function version(request: IncomingMessage): string | undefined {
  return request.headersDistinct['mcp-protocol-version']?.join(', ');
}
