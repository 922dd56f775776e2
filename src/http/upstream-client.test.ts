// The sidecar's own calls to instances, over real sockets: bounds, broken connections, and what counts as refused.

import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { backendOf, instanceOf } from '../../test/fakes/backends.ts';
import { type UpstreamRequest, UpstreamUnreachable } from '../gateway/upstream.ts';
import { createUpstreamClient, type UpstreamClient } from './upstream-client.ts';

let client: UpstreamClient;
const servers: (Server | TcpServer)[] = [];
beforeEach(() => {
  client = createUpstreamClient();
});
afterEach(async () => {
  client.close();
  for (const server of servers.splice(0)) {
    if ('closeAllConnections' in server) server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function listen<S extends Server | TcpServer>(server: S): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const serve = (handler: RequestListener): Promise<number> => listen(createServer(handler));

const ask = (port: number, over: Partial<UpstreamRequest> = {}) =>
  client.call({
    method: 'POST',
    instance: { ...instanceOf('i1'), address: `127.0.0.1:${port}` },
    backend: backendOf({ path: '/mcp' }),
    authority: 'localhost:8080',
    headers: { 'content-type': 'application/json' },
    body: '{"a":"ä"}',
    timeoutMs: 5_000,
    ...over,
  });

const failure = async (promise: Promise<unknown>): Promise<UpstreamUnreachable> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UpstreamUnreachable);
  return error as UpstreamUnreachable;
};

describe('a call', () => {
  test('sends path, query, Host and the bytes of the body, and follows no redirect', async () => {
    let seen = {};
    const port = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method, url, headers } = request;
        seen = { method, url, host: headers.host, length: headers['content-length'], body: Buffer.concat(chunks).toString() };
        response.writeHead(307, { location: '/elsewhere', 'x-a': '1' }).end('moved');
      });
    });
    const answer = await ask(port, { query: '?q=1' });
    expect(seen).toEqual({ method: 'POST', url: '/mcp?q=1', host: 'localhost:8080', length: '10', body: '{"a":"ä"}' });
    expect([answer.status, answer.headers['x-a'], answer.body.toString()]).toEqual([307, '1', 'moved']);
  });

  test('a query with raw UTF-8 goes on as it is, for the server to judge', async () => {
    const lines: string[] = [];
    const server = createTcpServer((socket) => {
      socket.once('data', (chunk) => {
        lines.push(chunk.toString().split('\r\n')[0] ?? '');
        socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
      });
    });
    expect((await ask(await listen(server), { query: '?q=€' })).status).toBe(400);
    expect(lines).toEqual(['POST /mcp?q=€ HTTP/1.1']);
  });

  test('a backend elsewhere gets its own Host', async () => {
    const port = await serve((request, response) => response.end(request.headers.host));
    const answer = await ask(port, { backend: backendOf({ remote: { authority: 'mcp.example.com', tls: false } }) });
    expect(answer.body.toString()).toBe('mcp.example.com');
  });

  test('a backend elsewhere gets its secret, whatever the caller brings', async () => {
    const port = await serve((request, response) => response.end(JSON.stringify([request.headers.authorization, request.headers['x-a']])));
    const remote = { authority: 'mcp.example.com', tls: false, auth: { header: 'authorization', value: 'Bearer ours' } };
    const answer = await ask(port, { backend: backendOf({ remote }), headers: { authorization: 'Bearer theirs', 'x-a': '1' } });
    expect(JSON.parse(answer.body.toString())).toEqual(['Bearer ours', '1']);
  });

  test('stops reading an event stream as soon as the answer is there', async () => {
    let closed = false;
    const port = await serve((_, response) => {
      response.on('close', () => {
        closed = true;
      });
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: wan');
      setImmediate(() => response.write('ted\n\n'));
    });
    const answer = await ask(port, { until: (text) => text.includes('wanted') });
    expect(answer.body.toString()).toContain('data: wanted');
    await expect.poll(() => closed).toBe(true);
  });
});

describe('no answer', () => {
  test('refused: nobody listens', async () => {
    const port = await serve(() => {});
    const [server] = servers.splice(0);
    await new Promise((resolve) => server?.close(resolve));
    expect((await failure(ask(port))).how).toBe('refused');
  });

  test('broken: the connection ends before or in the middle of the answer', async () => {
    const before = await serve((request) => request.socket.destroy());
    expect((await failure(ask(before))).how).toBe('broken');
    const middle = await serve((request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half');
      setImmediate(() => request.socket.destroy());
    });
    expect((await failure(ask(middle))).how).toBe('broken');
  });

  test('broken: the time is over, before the headers or after them', async () => {
    const silent = await serve(() => {});
    expect((await failure(ask(silent, { timeoutMs: 20 }))).how).toBe('broken');
    const endless = await serve((_, response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': hello\n\n'));
    expect((await failure(ask(endless, { timeoutMs: 50 }))).how).toBe('broken');
  });

  test('broken: the answer is larger than 8 MiB', async () => {
    const port = await serve((_, response) => {
      const chunk = Buffer.alloc(1024 * 1024, 'x');
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    });
    expect((await failure(ask(port))).message).toContain('larger than');
  });

  test('the caller’s own signal is the caller’s own reason', async () => {
    const port = await serve(() => {});
    const abort = new AbortController();
    const asked = ask(port, { signal: abort.signal });
    abort.abort(new Error('client gone'));
    await expect(asked).rejects.toThrow('client gone');
    await expect(ask(port, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before');
  });
});

describe('a connection that was kept', () => {
  /** Answers the first request of a connection; resets it when a second one comes: as a server does that has just gone. */
  const resetting = async (): Promise<{ port: number; connections: () => number }> => {
    let connections = 0;
    const server = createTcpServer((socket: Socket) => {
      connections += 1;
      let requests = 0;
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        if (!chunk.includes('POST')) return;
        requests += 1;
        if (requests > 1) socket.resetAndDestroy();
        else socket.write('HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok');
      });
    });
    return { port: await listen(server), connections: () => connections };
  };

  test('and turns out to be dead is no answer: a new one is tried', async () => {
    const { port, connections } = await resetting();
    expect((await ask(port)).body.toString()).toBe('ok');
    expect((await ask(port)).body.toString()).toBe('ok');
    expect(connections()).toBe(2);
  });

  test('and its server with it: refused, which proves that the session is gone', async () => {
    const { port } = await resetting();
    await ask(port);
    const [server] = servers.splice(0);
    server?.close();
    expect((await failure(ask(port))).how).toBe('refused');
  });
});
