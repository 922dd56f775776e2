// Waiting for a condition: the only way in which tests wait.

import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 25;

/**
 * Calls `condition` until it returns something truthy, and returns that.
 *
 * @throws Error with `what` and the last error of `condition` when `timeoutMs` have passed; the signal's reason when it is aborted.
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  { timeoutMs = 30_000, signal }: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
): Promise<Exclude<T, null | undefined | false | 0 | ''>> {
  const deadline = Date.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    signal?.throwIfAborted();
    try {
      const value = await condition();
      if (value) return value as Exclude<T, null | undefined | false | 0 | ''>;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`, { cause: lastError });
    await delay(POLL_MS, undefined, signal && { signal });
  }
}
