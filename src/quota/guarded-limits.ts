// Limits as a sidecar uses them: shared counters that are asked in time or not at all, and what holds while they are out of reach.

import { randomUUID } from 'node:crypto';
import type { TenantId } from '../core/ids.ts';
import { within } from '../core/within.ts';
import { createBlockList } from './block-list.ts';
import { createChangeQueue } from './change-queue.ts';
import { createCircuit } from './circuit.ts';
import { answerInTime, LONGEST_WAIT_MS } from './deadline.ts';
import type { Claim, Limits, Verdict } from './limits.ts';
import { shareOf, withRealLimits } from './local-share.ts';
import { createMemoryLimits } from './memory-limits.ts';
import { ADMITTED_REMEMBERED_MS, type Change, type QuotaStore } from './quota-store.ts';
import { createRemembered } from './remembered.ts';

/** How often this process says that it is alive and hears how many are: three of them may get lost. */
const BEAT_MS = 5_000;
/** Admitted requests that are known here when their Check is repeated, so that a window that is used up meanwhile does not refuse them. */
const MAX_REMEMBERED = 10_000;
const USAGE_TIMEOUT_MS = 1_000;

/**
 * For counters. `blocked`: refused without asking, the window was used up. `failed`: the shared counters gave no answer in time.
 * `local`: judged by the local share. `denied`: refused by `onOutage: deny`. `lost`: ends of requests or sessions that could not be told.
 */
export type LimitsEvent = 'blocked' | 'failed' | 'local' | 'denied' | 'lost';

export interface GuardedLimits extends Limits {
  /** Whether the shared counters are out of reach, and how many sidecars live (the last that was heard). */
  state(): { readonly down: boolean; readonly live: number };
  close(): void;
}

export interface GuardedLimitsOptions {
  readonly store: QuotaStore;
  /** Once per outage, with the first failure; at the start only when there is no connection for a while. */
  readonly onDown?: (error: Error) => void;
  readonly onUp?: (outageMs: number) => void;
  readonly onEvent?: (event: LimitsEvent, count: number) => void;
  readonly now?: () => number;
  /** Of the local share. */
  readonly leaseTtlMs?: number;
  readonly beatMs?: number;
  /** False for a process that admits nobody: limits are not divided by it. */
  readonly alive?: boolean;
  readonly longestWaitMs?: number;
}

const UNAVAILABLE: Verdict = { kind: 'unavailable' };

export function createGuardedLimits(options: GuardedLimitsOptions): GuardedLimits {
  const {
    store,
    onDown,
    onUp,
    onEvent,
    now = Date.now,
    leaseTtlMs,
    beatMs = BEAT_MS,
    alive = true,
    longestWaitMs = LONGEST_WAIT_MS,
  } = options;
  const name = alive ? randomUUID() : undefined;
  let live = 1;

  const local = createMemoryLimits({ now, ...(leaseTtlMs === undefined ? {} : { leaseTtlMs }) });
  const blocked = createBlockList();
  const admitted = createRemembered<{ readonly tenant: TenantId; readonly verdict: Verdict }>(MAX_REMEMBERED, ADMITTED_REMEMBERED_MS);

  const beat = async (): Promise<void> => {
    live = Math.max(1, await answerInTime(store.beat(name), longestWaitMs));
  };
  const circuit = createCircuit({
    probe: beat,
    onReachable: () => changes.resume(),
    // Redis' own errors carry the whole command.
    onDown: ({ message }) => onDown?.(new Error(message)),
    onUp: (outageMs) => onUp?.(outageMs),
    now,
  });
  const changes = createChangeQueue({
    apply: (batch) => store.apply(batch),
    isPaused: circuit.isOpen,
    onError: circuit.failed,
    onLost: (count) => onEvent?.('lost', count),
  });
  const beats = setInterval(() => {
    if (!circuit.isOpen()) beat().catch(circuit.failed);
  }, beatMs);
  beats.unref();

  const earlier = ({ tenant, requestId }: Claim): Verdict | undefined => {
    const known = admitted.get(requestId, now());
    return known?.tenant === tenant ? known.verdict : undefined;
  };

  const remember = ({ tenant, requestId, windows }: Claim, verdict: Verdict): void => {
    // Only used-up windows are refused here, so requests without windows need no memory.
    if (verdict.kind !== 'admitted' || windows.length === 0) return;
    const time = now();
    admitted.set(requestId, { tenant, verdict }, time + ADMITTED_REMEMBERED_MS, time);
  };

  /** The shared counters may have got the claim and may admit it, now or later: what they lend then goes back. */
  const giveBack = ({ tenant, requestId, concurrent, sessions }: Claim): void => {
    if (concurrent !== undefined) changes.push({ kind: 'release', tenant, requestId });
    if (sessions !== undefined) changes.push({ kind: 'free', tenant, member: requestId });
  };

  const judgeAlone = async (claim: Claim): Promise<Verdict> => {
    if (claim.onOutage === 'deny') {
      onEvent?.('denied', 1);
      return UNAVAILABLE;
    }
    onEvent?.('local', 1);
    const verdict = withRealLimits(await local.admit(shareOf(claim, live)), claim.windows);
    remember(claim, verdict);
    return verdict;
  };

  const ask = async (claim: Claim): Promise<Verdict> => {
    const askedAt = now();
    try {
      const verdict = await answerInTime(store.admit(claim), longestWaitMs);
      blocked.learn(claim, verdict, askedAt);
      remember(claim, verdict);
      return verdict;
    } catch (error) {
      onEvent?.('failed', 1);
      circuit.failed(error as Error);
      const verdict = await judgeAlone(claim);
      if (verdict.kind !== 'admitted') giveBack(claim);
      return verdict;
    }
  };

  /** The local share has to hear of ends all the time, because what it lent may end long after the outage. */
  const tell = (change: Change): void => {
    changes.push(change);
    if (circuit.isOpen() || change.kind === 'release' || change.kind === 'free') void local.apply([change]);
  };

  return {
    admit(claim) {
      const refusal = blocked.refusalOf(claim, now());
      if (refusal === undefined && !circuit.isOpen()) return ask(claim);
      const known = earlier(claim);
      if (known !== undefined) return known;
      if (refusal === undefined) return judgeAlone(claim);
      onEvent?.('blocked', 1);
      return refusal;
    },
    release: (tenant, requestId) => tell({ kind: 'release', tenant, requestId }),
    prolong: (tenant, requestId) => tell({ kind: 'prolong', tenant, requestId }),
    confirmSlot(tenant, requestId, session, idleMs) {
      const change: Change = { kind: 'confirm', tenant, requestId, session, idleMs };
      if (circuit.isOpen()) void local.apply([change]);
      return changes.tell(change);
    },
    releaseSlot: (tenant, member) => tell({ kind: 'free', tenant, member }),
    keepSlots(used) {
      for (const { tenant, session, idleMs } of used) tell({ kind: 'keep', tenant, session, idleMs });
    },
    usage: async (tenant, windows) => within(store.usage(tenant, windows), USAGE_TIMEOUT_MS),
    state: () => ({ down: circuit.isOpen(), live }),
    close() {
      clearInterval(beats);
      changes.close();
      circuit.close();
    },
  };
}
