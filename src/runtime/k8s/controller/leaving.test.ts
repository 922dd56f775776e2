// When a pod that has to go is let go, by what gateways have reported and when.

import { expect, test } from 'vitest';
import { type Pod, RELEASED_ANNOTATION } from '../instances.ts';
import { createMayGo } from './leaving.ts';
import { createUseBoard } from './use-board.ts';

/** One pod that has to go, one gateway, and a clock. */
function scene() {
  let now = 0;
  const board = createUseBoard(() => now);
  let pod: Pod | undefined = { metadata: { name: 'a', namespace: 'mcp', uid: 'uid', deletionTimestamp: '2026-11-28T12:00:00Z' } };
  let released = 0;
  const mayGo = createMayGo({
    board,
    drainIdleMs: 2_000,
    podOf: () => pod,
    release: () => {
      released += 1;
    },
  });
  return {
    ask: () => mayGo('uid'),
    released: () => released,
    after(ms: number) {
      now += ms;
    },
    /** What the gateway says; without anything, it does not know the pod. */
    report(use?: { sessions: number; calls: number; idleMs: number }) {
      board.put({ gateway: 'g', instances: use ? { 'uid.0': use } : {}, backends: {} });
    },
    /** As the watch shows it after `release`. */
    mark() {
      if (pod) pod = { ...pod, metadata: { ...pod.metadata, annotations: { [RELEASED_ANNOTATION]: '2026-11-28T11:59:00Z' } } };
    },
    remove() {
      pod = undefined;
    },
  };
}

test('whoever has not heard from everybody cannot say; a pod that is gone has nothing to wait for', () => {
  const { ask, after, report, remove } = scene();
  report();
  expect(ask()).toBeUndefined();
  after(16_000);
  expect(ask()).toBeUndefined();
  report();
  remove();
  expect(ask()).toEqual({ done: true, sessions: 0, calls: 0 });
});

test('without sessions it goes when that was said after it had to go', () => {
  const { ask, after, report } = scene();
  after(16_000);
  report({ sessions: 0, calls: 0, idleMs: 60_000 });
  expect(ask()?.done).toBe(false);
  after(1_000);
  report({ sessions: 0, calls: 0, idleMs: 60_000 });
  expect(ask()?.done).toBe(false);
  after(1_500);
  report({ sessions: 0, calls: 1, idleMs: 0 });
  expect(ask()).toEqual({ done: false, sessions: 0, calls: 1 });
  after(5_000);
  report({ sessions: 0, calls: 0, idleMs: 60_000 });
  expect(ask()?.done).toBe(true);
});

test('a session between two calls is not cut: it is sent elsewhere first, and what it has begun meanwhile ends', () => {
  const { ask, after, report, released, mark } = scene();
  after(16_000);
  report({ sessions: 1, calls: 0, idleMs: 100 });
  ask();
  after(3_000);
  report({ sessions: 1, calls: 0, idleMs: 100 });
  expect([ask()?.done, released()]).toEqual([false, 0]);
  // By now it has been idle for long enough, as far as anybody knows.
  after(4_000);
  expect([ask()?.done, released()]).toEqual([false, 1]);
  mark();
  expect(ask()?.done).toBe(false);
  after(1_000);
  report({ sessions: 1, calls: 0, idleMs: 5_000 });
  expect(ask()?.done).toBe(false);
  after(4_000);
  report({ sessions: 1, calls: 1, idleMs: 0 });
  expect(ask()?.done).toBe(false);
  after(5_000);
  report({ sessions: 1, calls: 0, idleMs: 10 });
  expect(ask()?.done).toBe(true);
});
