// Steady traffic: the same request again and again from several callers, with what became of each and when.

import { setTimeout as delay } from 'node:timers/promises';

/** Times as `performance.now()` tells them. */
export interface Sent {
  readonly sentAt: number;
  readonly ms: number;
  readonly outcome: string;
}

export interface Traffic {
  /** In the order of their answers. */
  readonly sent: readonly Sent[];
  /** Those that were sent in this span of time. */
  between(from: number, to?: number): readonly Sent[];
  stop(): Promise<void>;
}

/** `request` answers with the outcome; a rejection is one, too. `pauseMs` between two requests of one caller. */
export function steadyTraffic(callers: number, request: (caller: number) => Promise<string>, pauseMs = 10): Traffic {
  const sent: Sent[] = [];
  let stopped = false;
  const work = Array.from({ length: callers }, async (_, caller) => {
    while (!stopped) {
      const sentAt = performance.now();
      const outcome = await request(caller).catch((error: Error) => `no answer: ${error.message}`);
      sent.push({ sentAt, ms: performance.now() - sentAt, outcome });
      await delay(pauseMs);
    }
  });
  return {
    sent,
    between: (from, to = Number.POSITIVE_INFINITY) => sent.filter(({ sentAt }) => sentAt >= from && sentAt < to),
    async stop() {
      stopped = true;
      await Promise.all(work);
    },
  };
}

/** How often each outcome came. */
export function countOutcomes(sent: readonly Sent[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { outcome } of sent) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}
