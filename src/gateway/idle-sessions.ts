// Sessions that nobody uses: their upstream session is ended, their record stays, and their next request opens them again.

import type { Logger } from 'pino';
import type { BackendName } from '../core/ids.ts';
import type { SessionRecord, SessionStore } from '../session/store.ts';
import { NO_INSTANCE } from '../session/store.ts';
import { type EndUpstreamDependencies, endUpstream } from './end-upstream.ts';

/** Ended in one sweep; the rest waits for the next one. */
const MAX_PER_SWEEP = 100;
/** Sidecars report which sessions were used every five seconds: an earlier end could meet a request under way. */
const USE_REPORT_MS = 7_000;

/** Who is idle: the store of one machine, or for one sweeper at a time the store of all replicas. */
export interface IdleSource extends Pick<SessionStore, 'rebind'> {
  /**
   * At most `limit` open sessions that are on an instance, could be opened again elsewhere, and were last used before the moment
   * (milliseconds since 1970) that `before` names for their backend.
   */
  idle(before: ReadonlyMap<BackendName, number>, limit: number): Promise<readonly SessionRecord[]>;
}

export interface IdleSweepDependencies extends EndUpstreamDependencies {
  readonly store: IdleSource;
  readonly log: Logger;
  readonly now?: () => number;
}

/** One sweep. Resolves when the ended sessions' servers have been told, or could not be. */
export async function sweepIdleSessions({ store, directory, call, authority, log, now = Date.now }: IdleSweepDependencies): Promise<void> {
  const { backends } = directory.snapshot();
  const before = new Map<BackendName, number>();
  for (const { name, sessions } of backends.values()) {
    // A session that could not be opened again is left to its server's own idle rule.
    if (sessions.recovery !== 'fail') before.set(name, now() - sessions.idleTimeoutMs - USE_REPORT_MS);
  }
  const endOne = async (record: SessionRecord): Promise<void> => {
    // First the binding, so that a request that comes now opens a new session instead of meeting the end of the old one.
    await store.rebind(record.key, record.binding.generation, { instance: NO_INSTANCE, upstreamId: record.binding.upstreamId });
    log.info({ backend: record.backend, instance: record.binding.instance }, 'idle session ended');
    await endUpstream(record, { directory, call, authority, log }).catch((err: unknown) =>
      log.debug({ backend: record.backend, err }, 'idle session not ended on its server'),
    );
  };
  try {
    const idle = await store.idle(before, MAX_PER_SWEEP);
    await Promise.all(idle.map(endOne));
  } catch (err) {
    // The store is out of reach: the sessions are idle in the next sweep, too.
    log.warn({ err }, 'idle sessions not ended');
  }
}
