// One answer as an event stream: JSON-RPC messages as `event: message`, comments while nothing happens.

import type { ServerResponse } from 'node:http';

/** Connections without traffic are cut by what lies between; the reference server uses the same interval. */
const KEEP_ALIVE_MS = 15_000;
const EVENT = Buffer.from('event: message\ndata: ');
const EVENT_END = Buffer.from('\n\n');

export interface EventStream {
  /** Sends one message, whose bytes contain no line break. Nothing happens when the stream is over. */
  send(message: Buffer): void;
  /** Sends the headers now, if nothing was sent yet. */
  open(): void;
  /** Answers with one JSON body instead of a stream and without naming a session; only while nothing was sent. */
  reply(status: number, body: Buffer): void;
  end(): void;
  /** The client is still there and the stream has not been ended. */
  readonly alive: boolean;
  readonly opened: boolean;
}

/**
 * Headers go out with the first message or with `open`. `onBlocked(true)` when the client does not read as fast as messages come,
 * `onBlocked(false)` when it has caught up; `onGone` when it left before the end.
 */
export function createEventStream(
  response: ServerResponse,
  options: { sessionId: string; onBlocked: (blocked: boolean) => void; onGone: () => void },
): EventStream {
  const { sessionId, onBlocked, onGone } = options;
  let alive = true;
  let opened = false;
  let blocked = false;
  let keepAlive: NodeJS.Timeout | undefined;

  function block(is: boolean): void {
    if (blocked !== is) {
      blocked = is;
      onBlocked(is);
    }
  }

  function open(): void {
    if (opened || !alive) {
      return;
    }
    opened = true;
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'mcp-session-id': sessionId,
    });
    response.flushHeaders();
    keepAlive = setInterval(() => response.write(': keepalive\n\n'), KEEP_ALIVE_MS);
  }

  response.on('drain', () => block(false));
  response.on('close', () => {
    clearInterval(keepAlive);
    block(false);
    if (alive) {
      alive = false;
      onGone();
    }
  });

  return {
    send(message) {
      open();
      if (alive && !response.write(Buffer.concat([EVENT, message, EVENT_END]))) {
        block(true);
      }
    },
    open,
    reply(status, body) {
      if (alive && !opened) {
        alive = false;
        response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
      }
    },
    end() {
      if (alive) {
        alive = false;
        clearInterval(keepAlive);
        response.end();
      }
    },
    get alive() {
      return alive;
    },
    get opened() {
      return opened;
    },
  };
}
