// For unit tests: waiting until an expectation holds, as long as a busy machine may need.

import { vi } from 'vitest';

/** Below the time limit of a unit test, so that the expectation is what is reported. */
const TIMEOUT_MS = 8_000;

/** Repeats `expectation` until it does not throw. Rejects with its last error. */
export function eventually<T>(expectation: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(expectation, { timeout: TIMEOUT_MS, interval: 10 });
}
