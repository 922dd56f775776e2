// A relay in front of a test server, inside the test's own process: it keeps what passed, and can hold requests back.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readBody } from './request-body.ts';

/** A request that was passed on. */
export interface Relayed {
  readonly method: string;
  /** The JSON-RPC method; undefined without a body. */
  readonly rpc: string | undefined;
  readonly session: string | undefined;
}

export interface Relay {
  readonly url: string;
  readonly passed: readonly Relayed[];
  /** Keeps requests of this JSON-RPC method until `release`. One whose client goes away meanwhile never reaches the server. */
  hold(rpc: string): { readonly held: () => number; release(): void };
  stop(): Promise<void>;
}

const OWN_HEADERS = /^(content-length|transfer-encoding|connection|keep-alive|host)$/;

/** Answers are passed on whole: not for event streams. */
export async function startRelay(target: string): Promise<Relay> {
  const passed: Relayed[] = [];
  let holding: { readonly rpc: string; count: number; readonly over: Promise<void> } | undefined;

  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', headers } = request;
    const body = await readBody(request);
    const rpc = body.length === 0 ? undefined : (JSON.parse(body.toString()) as { method?: string }).method;
    if (holding !== undefined && rpc === holding.rpc) {
      holding.count += 1;
      await holding.over;
      // That a client has been killed is read some turns of the event loop later.
      for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
      if (response.destroyed) return;
    }
    passed.push({ method, rpc, session: headers['mcp-session-id'] as string | undefined });
    const kept = Object.entries(headers).filter(([name]) => !OWN_HEADERS.test(name)) as [string, string][];
    const answer = await fetch(target, { method, headers: kept, body: body.length === 0 ? null : new Uint8Array(body) });
    const text = Buffer.from(await answer.arrayBuffer());
    response.writeHead(answer.status, Object.fromEntries([...answer.headers].filter(([name]) => !OWN_HEADERS.test(name))));
    response.end(text);
  };

  const server = createServer((request, response) => {
    // A server that is gone looks gone.
    pass(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    passed,
    hold(rpc) {
      let release = (): void => {};
      const over = new Promise<void>((resolve) => {
        release = resolve;
      });
      const mine = { rpc, count: 0, over };
      holding = mine;
      return {
        held: () => mine.count,
        release() {
          if (holding === mine) holding = undefined;
          release();
        },
      };
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
