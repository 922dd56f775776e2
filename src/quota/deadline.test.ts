// Waiting for an answer: not longer than told, and not shorter because this process was busy.

import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { answerInTime } from './deadline.ts';

it('passes on what comes in time', async () => {
  expect(await answerInTime(Promise.resolve('here'), 50)).toBe('here');
  await expect(answerInTime(Promise.reject(new Error('broken')), 50)).rejects.toThrow('broken');
});

it('rejects when nothing comes', async () => {
  await expect(answerInTime(new Promise(() => {}), 10)).rejects.toThrow('no answer within 10 ms');
});

it('takes an answer that waited in the socket while nobody read', async () => {
  const server = createServer((socket) => socket.end('here'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  try {
    await new Promise((resolve) => socket.once('connect', resolve));
    const answer = new Promise((resolve) => socket.once('data', (data) => resolve(String(data))));
    const waiting = answerInTime(answer, 200);
    // The server of this process answers in the first of these turns; then nobody reads for longer than the time limit.
    await new Promise((resolve) => server.getConnections(() => setImmediate(resolve)));
    const until = performance.now() + 600;
    while (performance.now() < until);
    expect(await waiting).toBe('here');
  } finally {
    socket.destroy();
    server.close();
  }
});
