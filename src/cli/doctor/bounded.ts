// Runs checks so that none lasts, none throws, and not too many are under way at once.

import { limited } from '../../core/within.ts';
import { type Finding, failure, type Title } from './finding.ts';

/** Of one check. */
export const CHECK_TIMEOUT_MS = 10_000;

export interface Bounds {
  /** Ends it early; what it gives then is of no use. */
  readonly stop: AbortSignal;
  /** What to do when it fails in an unexpected way. */
  readonly advice: string;
  readonly timeoutMs?: number;
}

/** Never rejects: a check that throws, or is not done in time, is a failure itself. */
export async function bounded(
  title: Title,
  { stop, advice, timeoutMs = CHECK_TIMEOUT_MS }: Bounds,
  work: (signal: AbortSignal) => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  const signal = limited(stop, timeoutMs);
  const over = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  try {
    signal.throwIfAborted();
    return await Promise.race([work(signal), over]);
  } catch (error) {
    const why = signal.aborted ? `no answer within ${timeoutMs / 1000} s` : (error as Error).message;
    return [failure(title, why, advice)];
  }
}

/** All of them in their order, at most `width` at once. */
export async function pooled<Item, Result>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const queue = [...items.entries()];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) results[next[0]] = await work(next[1]);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
