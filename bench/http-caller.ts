// One keep-alive connection with one request in flight: writes the next call as soon as an answer has been checked.

import { connect, type Socket } from 'node:net';
import { type Call, MAX_MESSAGE_CHARS } from './mcp-calls.ts';

export interface CallerOptions {
  /** Taken in turn. All have the same target. */
  readonly calls: readonly Call[];
  /** Called for each good answer, with the milliseconds since the request was written. */
  readonly onAnswer: (milliseconds: number) => void;
  /** Called for each request that got no answer or a wrong one. */
  readonly onFailure: (why: string) => void;
}

export interface Caller {
  /** Sends no more requests. Resolves when the one in flight has ended, or has been given up after the time. */
  stop(timeoutMs: number): Promise<void>;
}

/** Milliseconds before a broken connection is replaced: a dead listener must not make a busy loop. */
const RECONNECT_MS = 20;

export function startCaller({ calls, onAnswer, onFailure }: CallerOptions): Caller {
  const { port } = (calls[0] as Call).target;
  let socket: Socket;
  let turn = 0;
  let call = calls[0] as Call;
  let id = 0;
  let sentAt = 0;
  let waiting = '';
  let inFlight = false;
  let stopping = false;
  let reconnect: NodeJS.Timeout | undefined;
  let stopped = (): void => {};

  const send = (): void => {
    call = calls[turn] as Call;
    turn = turn + 1 === calls.length ? 0 : turn + 1;
    id = call.prepare();
    inFlight = true;
    sentAt = performance.now();
    socket.write(call.bytes);
  };

  const settle = (why: string | undefined): void => {
    inFlight = false;
    if (why === undefined) onAnswer(performance.now() - sentAt);
    else onFailure(why);
    if (stopping) stopped();
  };

  const onData = (chunk: Buffer): void => {
    const text = chunk.toString('latin1');
    waiting = waiting === '' ? text : waiting + text;
    const headEnd = waiting.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const lengthAt = waiting.indexOf('content-length: ');
    const length = lengthAt < 0 || lengthAt > headEnd ? 0 : Number(waiting.slice(lengthAt + 16, waiting.indexOf('\r\n', lengthAt)));
    const end = headEnd + 4 + length;
    if (waiting.length < end && waiting.length <= MAX_MESSAGE_CHARS) return;
    const head = waiting.slice(0, headEnd + 2);
    const body = waiting.slice(headEnd + 4);
    waiting = '';
    if (!inFlight) return void socket.destroy(new Error('an answer that nobody asked for'));
    settle(call.wrong(id, head, body));
    if (!stopping) send();
  };

  const open = (): void => {
    waiting = '';
    socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let why = 'the connection was closed';
    socket.on('connect', () => (stopping ? stopped() : send()));
    socket.on('data', onData);
    socket.on('error', (error) => {
      why = error.message;
    });
    socket.on('close', () => {
      if (inFlight) settle(why);
      else if (stopping) stopped();
      else onFailure(why);
      if (!stopping) reconnect = setTimeout(open, RECONNECT_MS);
    });
  };
  open();

  return {
    async stop(timeoutMs) {
      stopping = true;
      clearTimeout(reconnect);
      if (inFlight) {
        let timer: NodeJS.Timeout | undefined;
        await new Promise<void>((resolve) => {
          stopped = resolve;
          timer = setTimeout(resolve, timeoutMs);
        });
        clearTimeout(timer);
        stopped = () => {};
        if (inFlight) {
          inFlight = false;
          onFailure(`no answer within ${timeoutMs} ms after the end of the phase`);
        }
      }
      socket.destroy();
    },
  };
}
