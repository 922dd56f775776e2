// Locks: order, cancellation, releasing twice.

import { expect, test } from 'vitest';
import { createLocks } from './locks.ts';

const never = new AbortController().signal;

test('first come, first served, one at a time', async () => {
  const locks = createLocks();
  const order: string[] = [];
  let inside = 0;
  await Promise.all(
    ['a', 'b', 'c', 'd'].map(async (name) => {
      const release = await locks.acquire('key', never);
      inside += 1;
      expect(inside).toBe(1);
      order.push(name);
      await Promise.resolve();
      inside -= 1;
      release();
    }),
  );
  expect(order).toEqual(['a', 'b', 'c', 'd']);
});

test('keys do not wait for each other', async () => {
  const locks = createLocks();
  await locks.acquire('a', never);
  await expect(locks.acquire('b', never)).resolves.toBeTypeOf('function');
});

test('who stops waiting is passed over, and does not let anybody in early', async () => {
  const locks = createLocks();
  const releaseFirst = await locks.acquire('key', never);
  const impatient = new AbortController();
  const second = locks.acquire('key', impatient.signal);
  let third = false;
  const waiting = locks.acquire('key', never).then((release) => {
    third = true;
    return release;
  });
  impatient.abort(new Error('gone'));
  await expect(second).rejects.toThrow('gone');
  expect(third).toBe(false);
  releaseFirst();
  await waiting;
  expect(third).toBe(true);
});

test('a signal that fired before does not even queue', async () => {
  const locks = createLocks();
  await expect(locks.acquire('key', AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
  await expect(locks.acquire('key', never)).resolves.toBeTypeOf('function');
});

test('releasing twice lets in one, not two', async () => {
  const locks = createLocks();
  const release = await locks.acquire('key', never);
  const second = locks.acquire('key', never);
  let third = false;
  void locks.acquire('key', never).then(() => {
    third = true;
  });
  release();
  release();
  await second;
  release();
  await new Promise(setImmediate);
  expect(third).toBe(false);
});
