// One session of the bridge: one server process, the requests it has yet to answer, and which stream each of its lines belongs to.

import type { ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import { errorMessage, idInUse, type Refusal, refuse, secondStream, sessionNotFound, tooBusy } from './answers.ts';
import { createEventStream, type EventStream } from './event-stream.ts';
import type { BridgeLimits } from './limits.ts';
import { type Message, readMessages, sameNumber, type TokenKey } from './message.ts';
import type { StdioChild } from './stdio-child.ts';

/** A POST with requests: its stream ends when the last of them is answered. */
interface Post {
  readonly stream: EventStream;
  readonly open: Set<TokenKey>;
}

/** For the `initialize` that makes a session: told when the session will never be of use to anyone. */
export interface Opening {
  readonly onFailure: () => void;
}

interface Pending {
  readonly post: Post;
  readonly opening: Opening | undefined;
  readonly rawId: string;
  readonly progressToken: TokenKey | undefined;
}

export interface BridgeSession {
  /** Passes on what a POST brought and answers it. */
  post(messages: readonly Message[], response: ServerResponse, opening?: Opening): void;
  /** Makes `response` the stream for what belongs to no request; refuses a second one. */
  listen(response: ServerResponse): void;
  /** Takes one line from the server process. */
  takeLine(line: Buffer): void;
  /** Answers everything that is open with an error and closes all streams. */
  fail(reason: string): void;
  /** The time of the last sign of the client, or of now while it waits for an answer. */
  lastUse(): number;
}

/** A session around a process that runs already. `now` in milliseconds. */
export function createSession(options: {
  id: string;
  child: () => StdioChild | undefined;
  limits: BridgeLimits;
  log: Logger;
  now: () => number;
}): BridgeSession {
  const { id: sessionId, child, limits, log, now } = options;
  const pending = new Map<TokenKey, Pending>();
  const posts = new Set<Post>();
  const blocked = new Set<EventStream>();
  let listener: EventStream | undefined;
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let dropped = 0;
  let used = now();
  let over = false;

  function stream(response: ServerResponse, onGone: () => void): EventStream {
    const made: EventStream = createEventStream(response, {
      sessionId,
      onBlocked(is) {
        // A client that does not read slows its own server down instead of filling the bridge's memory.
        if (is) {
          blocked.add(made);
          child()?.pause();
        } else if (blocked.delete(made) && blocked.size === 0) {
          child()?.resume();
        }
      },
      onGone,
    });
    return made;
  }

  function post(messages: readonly Message[], response: ServerResponse, opening?: Opening): void {
    used = now();
    const requests = messages.filter(({ kind }) => kind === 'request');
    const refusal = over ? sessionNotFound : whyNot(requests);
    if (refusal !== undefined) {
      refuse(response, { ...refusal, id: requests[0]?.rawId });
      return;
    }
    if (requests.length > 0) {
      // A client that leaves has not cancelled anything (legacy): the request goes on, its answer is dropped. Only an `initialize`
      // whose answer nobody got has made a session that nobody can use.
      const events = stream(response, () => {
        posts.delete(opened);
        opening?.onFailure();
      });
      const opened: Post = { stream: events, open: new Set() };
      posts.add(opened);
      for (const request of requests) {
        const key = request.id as TokenKey;
        opened.open.add(key);
        pending.set(key, { post: opened, opening, rawId: request.rawId as string, progressToken: request.progressToken });
      }
      if (opening === undefined) {
        events.open();
      }
    }
    for (const message of messages) {
      if (child()?.write(message.bytes) === false && message.id !== undefined) {
        settle(message.id, errorMessage({ code: -32603, message: 'The server process does not read its input', id: message.rawId }));
      }
      if (message.method === 'notifications/cancelled' && message.cancels !== undefined) {
        forgetLater(message.cancels);
      }
    }
    if (requests.length === 0) {
      response.writeHead(202).end();
    }
  }

  function whyNot(requests: readonly Message[]): Refusal | undefined {
    const ids = requests.map(({ id }) => id as TokenKey);
    if (new Set(ids).size < ids.length || ids.some((id) => pending.has(id))) {
      return idInUse;
    }
    return pending.size + ids.length > limits.requestsPerSession ? tooBusy : undefined;
  }

  /** Nobody need answer a cancelled request: without this its stream would stay open. */
  function forgetLater(key: TokenKey): void {
    const cancelled = pending.get(key);
    if (cancelled !== undefined) {
      const timer = setTimeout(() => (pending.get(key) === cancelled ? settle(key, undefined) : undefined), limits.cancelGraceMs);
      timer.unref();
    }
  }

  function takeAnswer(message: Message): void {
    const key = message.id === undefined ? undefined : answered(message.id);
    const request = key === undefined ? undefined : pending.get(key);
    if (key === undefined || request === undefined) {
      log.debug('answer to no open request');
      return;
    }
    if (request.opening !== undefined && message.failed) {
      request.post.stream.reply(200, message.bytes);
      request.opening.onFailure();
    }
    settle(key, message.bytes);
  }

  function settle(key: TokenKey, answer: Buffer | undefined): void {
    const request = pending.get(key);
    if (request === undefined) {
      return;
    }
    pending.delete(key);
    used = now();
    const { stream: events, open } = request.post;
    open.delete(key);
    if (answer !== undefined && events.alive) {
      events.send(answer);
    }
    if (open.size === 0) {
      posts.delete(request.post);
      events.end();
    }
  }

  function takeLine(line: Buffer): void {
    const read = readMessages(line);
    if (typeof read === 'string') {
      log.warn({ bytes: line.length }, 'server wrote a line that is no JSON-RPC message');
      return;
    }
    for (const message of read.messages) {
      if (message.kind === 'response') {
        takeAnswer(message);
      } else {
        deliver(message);
      }
    }
  }

  function answered(id: TokenKey): TokenKey | undefined {
    return pending.has(id) ? id : [...pending.keys()].find((key) => sameNumber(key, id));
  }

  /**
   * stdio does not say which request a message belongs to. A progress token does; with one request under way it is that one; otherwise
   * it goes to the listening stream, and a question that nobody listens for to the latest request, rather than nowhere.
   */
  function deliver(message: Message): void {
    const { progressToken: token } = message;
    const owner = token === undefined ? undefined : [...pending.values()].find(({ progressToken }) => progressToken === token);
    if (owner !== undefined) {
      owner.post.stream.send(message.bytes);
      return;
    }
    const streams = [...posts].map(({ stream: events }) => events).filter(({ alive }) => alive);
    const only = streams.length === 1 ? streams[0] : undefined;
    const target = only ?? listener ?? (message.kind === 'request' ? streams.at(-1) : undefined);
    if (target !== undefined) {
      target.send(message.bytes);
      return;
    }
    waiting.push(message.bytes);
    waitingBytes += message.bytes.length;
    while (waiting.length > limits.waitingMessages || waitingBytes > limits.waitingBytes) {
      waitingBytes -= waiting.shift()?.length ?? 0;
      dropped += 1;
    }
  }

  function listen(response: ServerResponse): void {
    used = now();
    if (over || listener !== undefined) {
      refuse(response, over ? sessionNotFound : secondStream);
      return;
    }
    const opened = stream(response, () => {
      listener = listener === opened ? undefined : listener;
    });
    listener = opened;
    opened.open();
    if (dropped > 0) {
      log.warn({ dropped }, 'messages dropped while no stream was open');
      dropped = 0;
    }
    for (const message of waiting) {
      opened.send(message);
    }
    waiting = [];
    waitingBytes = 0;
  }

  function fail(reason: string): void {
    over = true;
    const message = `The server process ended before it answered (${reason})`;
    for (const [key, { rawId, post: opened }] of [...pending]) {
      const answer = errorMessage({ code: -32603, message, id: rawId });
      opened.stream.reply(500, answer);
      settle(key, answer);
    }
    listener?.end();
    listener = undefined;
  }

  return { post, listen, takeLine, fail, lastUse: () => ([...posts].some(({ stream: events }) => events.alive) ? now() : used) };
}
