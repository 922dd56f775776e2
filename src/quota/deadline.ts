// How long a claim waits for the shared counters.

/** No request waits longer for them. */
export const LONGEST_WAIT_MS = 50;

/**
 * Rejects when the promise has not settled in time; the promise itself goes on. An answer that had arrived while this process was busy
 * counts as in time: sockets are read between the timer and the verdict.
 */
export function answerInTime<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => reject(new Error(`no answer within ${timeoutMs} ms`))), timeoutMs);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error as Error);
      },
    );
  });
}
