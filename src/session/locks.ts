// Locks by key inside one process: first come, first served, cancellable while waiting.

export interface Locks {
  /** Rejects with the signal's reason when it fires first. The answer releases the lock and may be called more than once. */
  acquire(key: string, signal: AbortSignal): Promise<() => void>;
}

export function createLocks(): Locks {
  // The tail of each key's queue: resolved when its last holder or waiter is done.
  const tails = new Map<string, Promise<void>>();

  return {
    async acquire(key, signal) {
      signal.throwIfAborted();
      const before = tails.get(key) ?? Promise.resolve();
      let release = (): void => {};
      const done = new Promise<void>((resolve) => {
        release = resolve;
      });
      const tail = before.then(() => done);
      tails.set(key, tail);
      void tail.then(() => {
        if (tails.get(key) === tail) tails.delete(key);
      });
      try {
        await orAbort(before, signal);
      } catch (error) {
        release();
        throw error;
      }
      return release;
    },
  };
}

function orAbort(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    void promise.then(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
  });
}
