// The queue of changes: what goes out together, in which order, what is told again, and what is lost.

import { beforeEach, expect, it } from 'vitest';
import { freshTenant } from '../../test/fakes/claims.ts';
import { eventually } from '../../test/harness/eventually.ts';
import { type ChangeQueue, createChangeQueue } from './change-queue.ts';
import type { Change } from './quota-store.ts';

const tenant = freshTenant();
const release = (requestId: string): Change => ({ kind: 'release', tenant, requestId });

let told: string[][];
let lost: number;
let errors: number;
let paused: boolean;
let failing: boolean;
let queue: ChangeQueue;
beforeEach(() => {
  [told, lost, errors, paused, failing] = [[], 0, 0, false, false];
  queue = createChangeQueue({
    async apply(changes) {
      told.push(changes.map((change) => (change as { requestId: string }).requestId));
      if (failing) throw new Error('gone');
    },
    isPaused: () => paused,
    onError() {
      errors += 1;
    },
    onLost(count) {
      lost += count;
    },
    maxWaiting: 4,
  });
});
const push = (...ids: string[]): void => {
  for (const id of ids) queue.push(release(id));
};

it('tells together what happened at once', async () => {
  push('a', 'b');
  expect(told).toEqual([]);
  await eventually(() => expect(told).toEqual([['a', 'b']]));
  push('c');
  await eventually(() => expect(told).toEqual([['a', 'b'], ['c']]));
});

it('waits while nobody can be told, and tells first what had failed', async () => {
  failing = true;
  push('a');
  await eventually(() => expect(errors).toBe(1));
  paused = true;
  push('b', 'c');
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toEqual([['a']]);
  [paused, failing] = [false, false];
  queue.resume();
  await eventually(() => expect(told).toEqual([['a'], ['a'], ['b', 'c']]));
  expect(lost).toBe(0);
});

it('does not say again that something goes on: it may have ended meanwhile', async () => {
  failing = true;
  queue.push({ kind: 'prolong', tenant, requestId: 'a' });
  push('b');
  await eventually(() => expect(errors).toBe(1));
  failing = false;
  queue.resume();
  await eventually(() => expect(told).toEqual([['a', 'b'], ['b']]));
});

it('gives up what fails twice', async () => {
  failing = true;
  push('a');
  await eventually(() => expect(errors).toBe(1));
  queue.resume();
  await eventually(() => expect([errors, lost]).toEqual([2, 1]));
  failing = false;
  queue.resume();
  push('b');
  await eventually(() => expect(told.at(-1)).toEqual(['b']));
  expect(told).toEqual([['a'], ['a'], ['b']]);
});

it('loses the oldest when too many wait, and says how many', async () => {
  paused = true;
  for (let n = 0; n < 100; n += 1) push(`${n}`);
  paused = false;
  queue.resume();
  await eventually(() => expect(told).toHaveLength(1));
  const kept = told[0] as string[];
  expect(kept.length).toBeLessThanOrEqual(6);
  expect(kept.at(-1)).toBe('99');
  expect(lost).toBe(100 - kept.length);
});

it('says when the counters know a change, after all that was pushed before it', async () => {
  push('a');
  await queue.tell(release('b'));
  expect(told).toEqual([['a', 'b']]);
});

it('does not let anybody wait for what cannot be told', async () => {
  failing = true;
  await queue.tell(release('a'));
  expect([errors, lost]).toEqual([1, 0]);
  paused = true;
  await queue.tell(release('b'));
  [paused, failing] = [false, false];
  queue.resume();
  await eventually(() => expect(told).toEqual([['a'], ['a'], ['b']]));
});

it('tells what waits when it is closed, and nothing afterwards', async () => {
  push('a');
  queue.close();
  expect(told).toEqual([['a']]);
  push('b');
  await new Promise((resolve) => setImmediate(resolve));
  expect(told).toEqual([['a']]);
});
