// Commands of one turn: when they leave, in which order, and that nothing stays behind.

import { PassThrough } from 'node:stream';
import type { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { createWriteTogether } from './write-together.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const withStream = (stream: PassThrough | undefined) => ({ stream: stream as unknown as Redis['stream'] });

test('what is written in one turn leaves at its end, and so in the next one', async () => {
  const stream = new PassThrough();
  const writeTogether = createWriteTogether(withStream(stream));
  for (const round of ['a', 'b']) {
    for (const part of ['1', '2', '3']) {
      writeTogether();
      stream.write(round + part);
    }
    expect(stream.read()).toBe(null);
    await turn();
    expect(String(stream.read())).toBe(`${round}1${round}2${round}3`);
    expect(stream.writableCorked).toBe(0);
  }
});

test('a connection that is lost and made anew, and one that is not yet there', async () => {
  const [lost, fresh] = [new PassThrough(), new PassThrough()];
  const redis = withStream(undefined);
  const writeTogether = createWriteTogether(redis);
  writeTogether();
  Object.assign(redis, withStream(lost));
  writeTogether();
  lost.write('x');
  lost.destroy();
  Object.assign(redis, withStream(fresh));
  writeTogether();
  fresh.write('y');
  await turn();
  writeTogether();
  fresh.write('z');
  await turn();
  expect(String(fresh.read())).toBe('yz');
  expect([lost.writableCorked, fresh.writableCorked]).toEqual([0, 0]);
});
