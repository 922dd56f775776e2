// Which sessions have been used lately: collected per request, reported in batches.

import type { SessionKey } from '../core/ids.ts';
import type { SessionStore } from './store.ts';

const REPORT_MS = 5_000;
/** More sessions than this in one interval are reported at once. */
const MAX_COLLECTED = 10_000;

export interface UseLog {
  /** Cheap enough for every request. */
  used(key: SessionKey): void;
  /** Reports what is left. */
  close(): void;
}

export function createUseLog(store: Pick<SessionStore, 'used'>): UseLog {
  let collected = new Set<SessionKey>();
  const report = (): void => {
    if (collected.size === 0) return;
    const keys = [...collected];
    collected = new Set();
    store.used(keys);
  };
  const timer = setInterval(report, REPORT_MS);
  return {
    used(key) {
      collected.add(key);
      if (collected.size >= MAX_COLLECTED) report();
    },
    close() {
      clearInterval(timer);
      report();
    },
  };
}
