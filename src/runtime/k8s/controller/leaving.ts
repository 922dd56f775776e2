// When a pod that has to go may go: when nothing is under way on it, and nobody sends anything there any more.

import { createBoundedCache } from '../../../core/bounded-cache.ts';
import { instanceIdOf, isReleased, type Pod } from '../instances.ts';
import type { UseBoard } from './use-board.ts';

const MAX_REMEMBERED = 20_000;
/** Gateways hear so soon of what has changed about a pod, and their reports are so old when they arrive. */
const NOTICE_MS = 2_000;

export interface LeavingOptions {
  readonly board: Pick<UseBoard, 'instance' | 'isWarm' | 'isHeard' | 'isHeardSince' | 'now'>;
  readonly podOf: (uid: string) => Pod | undefined;
  /** Marks the pod, so that no gateway sends anything there any more. */
  readonly release: (pod: Pod) => void;
  /** A session that was not used for so long need not be waited for. */
  readonly drainIdleMs: number;
}

/** Undefined: this controller cannot say. */
export type MayGo = (podUid: string) => { readonly done: boolean; readonly sessions: number; readonly calls: number } | undefined;

export function createMayGo({ board, podOf, release, drainIdleMs }: LeavingOptions): MayGo {
  const firstAsked = createBoundedCache<string, number>(MAX_REMEMBERED);
  /** Whether every gateway has reported what it knows since this was asked first: what came before says nothing of what was sent since. */
  const isSettled = (question: string): boolean => {
    const at = firstAsked.get(question) ?? board.now();
    firstAsked.set(question, at);
    return board.isHeardSince(at + NOTICE_MS);
  };

  return (podUid) => {
    if (!board.isWarm() || !board.isHeard()) return undefined;
    const pod = podOf(podUid);
    // A pod that is no longer there has nothing to wait for.
    if (!pod) return { done: true, sessions: 0, calls: 0 };
    const { sessions, calls, idleMs } = board.instance(instanceIdOf(pod));
    const quiet = isSettled(podUid) && calls === 0;
    if (quiet && sessions === 0) return { done: true, sessions, calls };
    // An idle session may call at any moment, and reports are seconds old: first nothing is sent there any more, then it is looked at again.
    if (isReleased(pod)) return { done: isSettled(`${podUid} released`) && quiet, sessions, calls };
    if (quiet && idleMs >= drainIdleMs) release(pod);
    return { done: false, sessions, calls };
  };
}
