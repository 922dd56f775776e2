// Tells the shared counters what happened to leases and slots; nobody has to wait for it.

import { within } from '../core/within.ts';
import type { Change, QuotaStore } from './quota-store.ts';

/** While nobody can be told; then the oldest are lost. Lost releases lapse with their TTL, lost slots when their session would be idle. */
const MAX_WAITING = 20_000;
/** Told at once; more would hold up everything else on the connection. */
const MAX_PER_BATCH = 1_000;
const APPLY_TIMEOUT_MS = 2_000;

export interface ChangeQueue {
  push(change: Change): void;
  /**
   * As `push`, at once and after all that was pushed before. Resolves when the counters know it, and also when they cannot be told for
   * now; never rejects.
   */
  tell(change: Change): Promise<void>;
  /** The store can be asked again: tells first what had failed. */
  resume(): void;
  /** Tells what is waiting, if anybody can be told. */
  close(): void;
}

export interface ChangeQueueOptions {
  readonly apply: QuotaStore['apply'];
  /** Then everything waits for `resume`. */
  readonly isPaused: () => boolean;
  readonly onError: (error: Error) => void;
  readonly onLost: (count: number) => void;
  readonly maxWaiting?: number;
}

interface Batch {
  readonly changes: readonly Change[];
  readonly again: boolean;
}

/** What happens in one turn of the event loop goes out together. A batch that fails is told once more, after the next `resume`. */
export function createChangeQueue({ apply, isPaused, onError, onLost, maxWaiting = MAX_WAITING }: ChangeQueueOptions): ChangeQueue {
  let waiting: Change[] = [];
  let failed: Change[] = [];
  let closed = false;
  let scheduled = false;

  const send = ({ changes, again }: Batch): Promise<void> =>
    within(apply(changes), APPLY_TIMEOUT_MS).catch((error: unknown) => {
      if (again) onLost(changes.length);
      else failed = limit([...failed, ...changes.filter(staysTrue)]);
      onError(error as Error);
    });

  const limit = (changes: Change[]): Change[] => {
    const excess = changes.length - maxWaiting;
    if (excess <= 0) return changes;
    onLost(excess);
    return changes.slice(excess);
  };

  const flush = (): Promise<unknown> => {
    scheduled = false;
    if (closed || isPaused()) return Promise.resolve();
    const [old, fresh] = [failed, waiting];
    failed = [];
    waiting = [];
    return Promise.all([
      ...inBatches(old).map((changes) => send({ changes, again: true })),
      ...inBatches(fresh).map((changes) => send({ changes, again: false })),
    ]);
  };

  const schedule = (): void => {
    if (scheduled || isPaused()) return;
    scheduled = true;
    setImmediate(() => void flush());
  };

  const keep = (change: Change): void => {
    waiting.push(change);
    // Some slack, so that an outage does not copy the array for each change.
    if (waiting.length > 1.5 * maxWaiting) waiting = limit(waiting);
  };

  return {
    push(change) {
      keep(change);
      schedule();
    },
    async tell(change) {
      keep(change);
      await flush();
    },
    resume() {
      if (failed.length + waiting.length > 0) schedule();
    },
    close() {
      void flush();
      closed = true;
    },
  };
}

/** What is told again may come after what happened later: that something goes on is not true for ever, and is said again by itself. */
function staysTrue({ kind }: Change): boolean {
  return kind !== 'prolong' && kind !== 'keep';
}

function inBatches(changes: readonly Change[]): (readonly Change[])[] {
  const batches: (readonly Change[])[] = [];
  for (let from = 0; from < changes.length; from += MAX_PER_BATCH) batches.push(changes.slice(from, from + MAX_PER_BATCH));
  return batches;
}
