// Names of things to look at: each at most once in the queue and never twice at the same time; what fails is tried again, later and later.

import type { Logger } from 'pino';

const FIRST_WAIT_MS = 5;
const LONGEST_WAIT_MS = 300_000;
const CONCURRENCY = 16;

export interface WorkQueue {
  /** Looks at it as soon as possible; once more afterwards when somebody is looking at it right now. */
  add(key: string): void;
  /** Looks at it after so long, unless it is looked at earlier: whoever looks sees everything, and says again when to come back. */
  addAfter(key: string, delayMs: number): void;
  /** Waiting, delayed and being worked on. */
  readonly size: () => number;
  /** Nothing is waiting or being worked on; what is delayed does not count. */
  readonly idle: () => boolean;
  /** Takes nothing more, aborts what is being worked on, and resolves when it has ended. */
  close(): Promise<void>;
}

export interface WorkQueueOptions {
  /** Level-triggered: it gets a name, and looks for itself at what there is. Rejecting means: again, later. */
  readonly work: (key: string, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
  readonly concurrency?: number;
  /** From 0 to below 1. */
  readonly random?: () => number;
}

export function createWorkQueue({ work, log, concurrency = CONCURRENCY, random = Math.random }: WorkQueueOptions): WorkQueue {
  const closing = new AbortController();
  const waiting = new Set<string>();
  const running = new Map<string, Promise<void>>();
  const again = new Set<string>();
  const delayed = new Map<string, { readonly timer: NodeJS.Timeout; readonly due: number }>();
  const failures = new Map<string, number>();

  const start = (): void => {
    for (const key of waiting) {
      if (running.size >= concurrency || closing.signal.aborted) return;
      waiting.delete(key);
      running.set(key, run(key));
    }
  };

  const run = async (key: string): Promise<void> => {
    // After the caller's turn: `running` knows of it before it ends.
    await Promise.resolve();
    cancel(key);
    try {
      await work(key, closing.signal);
      failures.delete(key);
    } catch (error) {
      if (!closing.signal.aborted) retry(key, error);
    }
    running.delete(key);
    if (again.delete(key)) waiting.add(key);
    start();
  };

  const retry = (key: string, error: unknown): void => {
    const failed = (failures.get(key) ?? 0) + 1;
    failures.set(key, failed);
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failed - 1, 30));
    const waitMs = longest * (0.5 + random() / 2);
    log.warn({ err: error, key, failures: failed, waitMs: Math.round(waitMs) }, 'reconcile failed: it is tried again');
    addAfter(key, waitMs);
  };

  const cancel = (key: string): void => {
    clearTimeout(delayed.get(key)?.timer);
    delayed.delete(key);
  };

  const add = (key: string): void => {
    if (closing.signal.aborted) return;
    if (running.has(key)) again.add(key);
    else waiting.add(key);
    start();
  };

  const addAfter = (key: string, delayMs: number): void => {
    if (closing.signal.aborted) return;
    const due = performance.now() + delayMs;
    const before = delayed.get(key);
    if (before && before.due <= due) return;
    clearTimeout(before?.timer);
    const fire = (): void => {
      delayed.delete(key);
      add(key);
    };
    delayed.set(key, { timer: setTimeout(fire, delayMs), due });
  };

  return {
    add,
    addAfter,
    size: () => new Set([...waiting, ...running.keys(), ...delayed.keys()]).size,
    idle: () => waiting.size === 0 && running.size === 0,
    async close() {
      closing.abort(new Error('closed'));
      waiting.clear();
      again.clear();
      for (const key of [...delayed.keys()]) cancel(key);
      await Promise.all(running.values());
    },
  };
}
