// Closers: reverse order, each once, whatever the others do.

import { expect, test } from 'vitest';
import { createClosers } from './closers.ts';

function world() {
  const closed: string[] = [];
  const closers = createClosers();
  const add = (name: string, error?: Error): void =>
    closers.add(async () => {
      closed.push(name);
      await Promise.resolve();
      if (error) throw error;
    });
  return { closed, closers, add };
}

test('the last one first, each after the one before has finished', async () => {
  const { closers } = world();
  const events: string[] = [];
  for (const name of ['a', 'b']) {
    closers.add(async () => {
      events.push(`${name} begins`);
      await new Promise(setImmediate);
      events.push(`${name} ends`);
    });
  }
  await closers.close();
  expect(events).toEqual(['b begins', 'b ends', 'a begins', 'a ends']);
});

test('one that fails does not keep the others open, and the first failure is told', async () => {
  const { closed, closers, add } = world();
  add('a');
  add('b', new Error('b failed'));
  add('c', new Error('c failed'));
  closers.add(() => {
    throw new Error('at once');
  });
  await expect(closers.close()).rejects.toThrow('at once');
  expect(closed).toEqual(['c', 'b', 'a']);
});

test('each exactly once, also when closing is asked for twice at a time', async () => {
  const { closed, closers, add } = world();
  for (const name of ['a', 'b', 'c']) add(name);
  await Promise.all([closers.close(), closers.close()]);
  await closers.close();
  expect(closed.toSorted()).toEqual(['a', 'b', 'c']);
});

test('what is added while closing is closed too', async () => {
  const { closed, closers, add } = world();
  closers.add(() => add('late'));
  await closers.close();
  expect(closed).toEqual(['late']);
});
