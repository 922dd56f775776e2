// Sessions that nobody uses: their upstream session is ended, their record stays, and their next request opens them again.

import type { Logger } from 'pino';
import type { Directory } from '../directory/directory.ts';
import type { SessionRecord, SessionStore } from '../session/store.ts';
import { NO_INSTANCE } from '../session/store.ts';
import type { CallUpstream } from './upstream.ts';

const DELETE_TIMEOUT_MS = 5_000;
/** Ended in one sweep; the rest waits for the next one. */
const MAX_PER_SWEEP = 100;
/** Sidecars report which sessions were used every five seconds: an earlier end could meet a request under way. */
const USE_REPORT_MS = 7_000;

export interface IdleSweepDependencies {
  readonly store: Pick<SessionStore, 'rebind'> & { inUse(): IterableIterator<readonly [SessionRecord, lastUsed: number]> };
  readonly directory: Directory;
  readonly call: CallUpstream;
  /** Host for the DELETE: servers that check it accept what clients use. */
  readonly authority: () => string;
  readonly log: Logger;
  readonly now?: () => number;
}

/** One sweep. Resolves when the ended sessions' servers have been told, or could not be. */
export async function sweepIdleSessions({ store, directory, call, authority, log, now = Date.now }: IdleSweepDependencies): Promise<void> {
  const { backends } = directory.snapshot();
  const idle: SessionRecord[] = [];
  for (const [record, lastUsed] of store.inUse()) {
    const backend = backends.get(record.backend);
    // A session that could not be opened again is left to its server's own idle rule.
    if (!backend || record.initialize === '' || backend.sessions.recovery === 'fail') continue;
    if (now() - lastUsed > backend.sessions.idleTimeoutMs + USE_REPORT_MS) idle.push(record);
    if (idle.length >= MAX_PER_SWEEP) break;
  }
  await Promise.all(
    idle.map(async (record) => {
      const backend = backends.get(record.backend);
      const instance = backend?.instances.find(({ id }) => id === record.binding.instance);
      // First the binding, so that a request that comes now opens a new session instead of meeting the end of the old one.
      await store.rebind(record.key, record.binding.generation, { instance: NO_INSTANCE, upstreamId: record.binding.upstreamId });
      log.info({ backend: record.backend, instance: record.binding.instance }, 'idle session ended');
      if (!backend || !instance) return;
      await call({
        method: 'DELETE',
        instance,
        backend,
        authority: authority(),
        headers: { 'mcp-session-id': record.binding.upstreamId },
        body: '',
        timeoutMs: DELETE_TIMEOUT_MS,
      }).catch((err: unknown) => log.debug({ backend: record.backend, err }, 'idle session not ended on its server'));
    }),
  );
}
