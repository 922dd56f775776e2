// A bridge in front of the stdio fixture, in the test's own process, and a client that sees every byte.

import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import type { BridgeLimits } from '../../src/runtime/bridge/limits.ts';
import { startBridge } from '../../src/runtime/bridge/server.ts';
import { waitFor } from '../harness/wait-for.ts';
import { fixtureArgs } from './world.ts';

const JSON_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** The contents of the `data:` fields, or the whole JSON body. */
  readonly data: readonly string[];
}

/** An answer that is still arriving. */
export interface Open {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly ended: Promise<void>;
  text(): string;
  data(): readonly string[];
  leave(): void;
}

const dataOf = (text: string): string[] =>
  text.startsWith('{') ? [text] : [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data as string);

/** Starts a bridge; `args` go to the fixture. */
export async function createBridgeWorld(options: { limits?: Partial<BridgeLimits>; args?: string[]; command?: string } = {}) {
  const errorOutput = new PassThrough();
  let stderr = '';
  errorOutput.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const bridge = await startBridge({
    port: 0,
    host: '127.0.0.1',
    path: '/mcp',
    command: options.command ?? process.execPath,
    args: [...fixtureArgs('stdio-server'), ...(options.args ?? [])],
    log: pino({ level: 'silent' }),
    errorOutput,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });

  /** Sends a request; resolves when the headers of the answer are there. */
  async function open(
    method: string,
    { body, headers = {}, path = '/mcp' }: { body?: string | Buffer; headers?: Record<string, string>; path?: string } = {},
  ): Promise<Open> {
    const outgoing = request({ host: '127.0.0.1', port: bridge.port, method, path, agent: false, headers });
    outgoing.end(body);
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
    let text = '';
    incoming.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    incoming.on('error', () => undefined);
    const ended = new Promise<void>((resolve) => void incoming.once('close', () => resolve()));
    const { statusCode: status = 0, headers: received } = incoming;
    return { status, headers: received, ended, text: () => text, data: () => dataOf(text), leave: () => void outgoing.destroy() };
  }

  async function ask(method: string, details: Parameters<typeof open>[1] = {}): Promise<Answer> {
    const { status, headers, ended, text, data } = await open(method, details);
    await ended;
    return { status, headers, text: text(), data: data() };
  }

  const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
    ask('POST', { body, headers: { ...JSON_HEADERS, ...headers } });

  /** Opens a session of the fixture. */
  async function session() {
    const opened = await post('{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}');
    const id = opened.headers['mcp-session-id'] as string;
    const headers = { 'mcp-session-id': id, 'mcp-protocol-version': '2025-11-25' };
    const call = (method: string, params: object = {}, rpcId: string | number = 1) =>
      JSON.stringify({ jsonrpc: '2.0', id: rpcId, method, params });
    return {
      id,
      headers,
      pid: Number(/"pid":(\d+)/.exec(opened.text)?.[1]),
      post: (body: string | Buffer, more: Record<string, string> = {}) => post(body, { ...headers, ...more }),
      call: (method: string, params?: object, rpcId?: string | number) => post(call(method, params, rpcId), headers),
      start: (method: string, params?: object, rpcId?: string | number) =>
        open('POST', { body: call(method, params, rpcId), headers: { ...JSON_HEADERS, ...headers } }),
      listen: () => open('GET', { headers: { ...headers, accept: 'text/event-stream' } }),
      end: () => ask('DELETE', { headers }),
    };
  }

  return { bridge, open, ask, post, session, stderr: () => stderr, close: () => bridge.close() };
}

/** Waits until so many messages have arrived on a stream, and returns them. */
export async function messages(stream: Open, count: number): Promise<readonly string[]> {
  await waitFor(`${count} messages`, () => stream.data().length >= count);
  return stream.data();
}
