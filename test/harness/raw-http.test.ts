// The raw client and the raw upstream, face to face: what they show must be true before a gateway stands between them.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { CASE_HEADER, type RawUpstream, startRawUpstream } from '../servers/raw-upstream.ts';
import { openSession } from './mcp-http.ts';
import { sendRaw } from './raw-http.ts';

let upstream: RawUpstream;

beforeAll(async () => {
  upstream = await startRawUpstream();
});

afterAll(() => upstream?.stop());

const send = (name: string, body: string | readonly Buffer[]) =>
  sendRaw({
    url: upstream.url,
    body,
    headers: [
      ['Content-Type', 'application/json'],
      [CASE_HEADER, name],
    ],
  });

test('bodies are exact, with a length and in chunks, both ways', async () => {
  upstream.on('exact', (res, { body }) => void res.writeHead(200, { 'x-one': '1' }).end(body));
  const response = await send('exact', 'ä {"n":9007199254740993}');
  expect([response.status, response.header('x-one'), (await response.body()).toString()]).toEqual([200, '1', 'ä {"n":9007199254740993}']);
  const big = Buffer.alloc(3_000_000, 'x');
  expect((await (await send('exact', [big, Buffer.from('end')])).body()).length).toBe(3_000_003);
  expect(upstream.last('exact').headers['transfer-encoding']).toBe('chunked');
});

test('streams come in pieces, with their time; an abort reaches the upstream; a cut is an error', async () => {
  upstream.on('stream', (res) => void res.writeHead(200, { 'content-type': 'text/event-stream' }).write(': one\n\n'));
  const response = await send('stream', '{}');
  const { value } = await response.chunks().next();
  expect(value?.data.toString()).toBe(': one\n\n');
  expect(Math.abs((value?.at ?? 0) - Date.now())).toBeLessThan(1_000);
  response.socket.destroy();
  expect(await upstream.last('stream').aborted).toBeGreaterThan(0);

  upstream.on('cut', (res) => {
    res.writeHead(200).write('half');
    setTimeout(() => res.destroy(), 20);
  });
  await expect((await send('cut', '{}')).body()).rejects.toThrow('the connection was closed');
});

test('without a case it is an MCP server with one session', async () => {
  const session = await openSession(upstream.url);
  expect(await session.send({ jsonrpc: '2.0', id: 7, method: 'ping' })).toMatchObject({ status: 200, messages: [{ id: 7, result: {} }] });
  expect(await session.end()).toBe(200);
});
