// The queue of names: one at a time each, nothing lost, failures later and later, and an end that waits.

import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

const log = pino({ level: 'silent' });
let queue: WorkQueue | undefined;

beforeEach(() => void vi.useFakeTimers());
afterEach(async () => {
  await queue?.close();
  vi.useRealTimers();
});

/** Work that is done when the test says so. */
function byHand(concurrency = 16) {
  const begun: string[] = [];
  const running = new Map<string, { finish: () => void; fail: (error: Error) => void }>();
  let together = 0;
  queue = createWorkQueue({
    log,
    concurrency,
    random: () => 1,
    async work(key, signal) {
      if (running.has(key)) throw new Error(`${key} is worked on twice at a time`);
      begun.push(key);
      together = Math.max(together, running.size + 1);
      const stop = (): void => running.get(key)?.fail(signal.reason as Error);
      signal.addEventListener('abort', stop);
      await new Promise<void>((finish, fail) => running.set(key, { finish, fail })).finally(() => {
        signal.removeEventListener('abort', stop);
        running.delete(key);
      });
    },
  });
  const turn = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);
  return { queue, begun, running, turn, together: () => together };
}

describe('the queue', () => {
  it('works on each name once at a time; what comes meanwhile makes one more turn', async () => {
    const { queue, begun, running, turn } = byHand();
    queue.add('a');
    queue.add('a');
    await turn();
    for (let again = 0; again < 5; again += 1) queue.add('a');
    await turn();
    expect(begun).toEqual(['a']);
    running.get('a')?.finish();
    await turn();
    expect(begun).toEqual(['a', 'a']);
    running.get('a')?.finish();
    await turn();
    expect(begun).toHaveLength(2);
    expect(queue.idle()).toBe(true);
    expect(queue.size()).toBe(0);
  });

  it('works on so many at once and no more', async () => {
    const { queue, begun, running, turn, together } = byHand(3);
    for (const key of ['a', 'b', 'c', 'd', 'e']) queue.add(key);
    await turn();
    expect(begun).toEqual(['a', 'b', 'c']);
    running.get('b')?.finish();
    await turn();
    expect(begun).toEqual(['a', 'b', 'c', 'd']);
    while (running.size > 0) {
      for (const { finish } of running.values()) finish();
      await turn();
    }
    expect(begun).toHaveLength(5);
    expect(together()).toBe(3);
  });

  it('comes back to what failed after 5 ms, 10 ms … at most 5 min; a success forgets it', async () => {
    const { queue, begun, running, turn } = byHand();
    const fail = async (): Promise<void> => {
      running.get('a')?.fail(new Error('no'));
      await turn();
    };
    queue.add('a');
    await turn();
    for (const waitMs of [5, 10, 20, 40]) {
      const before = begun.length;
      await fail();
      await vi.advanceTimersByTimeAsync(waitMs - 1);
      expect(begun).toHaveLength(before);
      await vi.advanceTimersByTimeAsync(2);
      expect(begun).toHaveLength(before + 1);
    }
    for (let failures = 0; failures < 40; failures += 1) {
      await fail();
      await vi.advanceTimersByTimeAsync(300_001);
    }
    expect(begun).toHaveLength(45);
    running.get('a')?.finish();
    await turn();
    queue.add('a');
    await turn();
    await fail();
    await vi.advanceTimersByTimeAsync(6);
    expect(begun).toHaveLength(47);
  });

  it('looks later, at the earliest of the times that were named', async () => {
    const { queue, begun, running, turn } = byHand();
    queue.addAfter('a', 1_000);
    queue.addAfter('a', 100);
    queue.addAfter('a', 500);
    expect(queue.size()).toBe(1);
    await vi.advanceTimersByTimeAsync(99);
    expect(begun).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    expect(begun).toEqual(['a']);
    running.get('a')?.finish();
    await turn();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(begun).toEqual(['a']);
  });

  it('ends when what is under way has ended, and begins nothing more', async () => {
    const { queue, begun, turn } = byHand(1);
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 10);
    await turn();
    await queue.close();
    queue.add('d');
    await vi.advanceTimersByTimeAsync(1_000);
    expect(begun).toEqual(['a']);
    expect(queue.size()).toBe(0);
  });
});
