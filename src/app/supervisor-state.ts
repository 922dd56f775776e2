// The supervisor's own view of sessions and limits: it keeps them itself, or they are in Redis and it is one process among others.

import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Settings } from '../config/settings.ts';
import type { InstanceId } from '../core/ids.ts';
import type { Directory } from '../directory/directory.ts';
import type { IdleSource } from '../gateway/idle-sessions.ts';
import type { Limits } from '../quota/limits.ts';
import { createMemoryLimits } from '../quota/memory-limits.ts';
import { openJournal, readJournal } from '../session/journal.ts';
import { createMemoryStore } from '../session/memory-store.ts';
import type { SessionStore } from '../session/store.ts';
import { createClosers } from './closers.ts';
import type { LinkServerOptions } from './link-server.ts';
import { guardLimits, openRedis, SUPERVISOR_WAIT_MS } from './shared-state.ts';

export interface SupervisorState {
  readonly store: SessionStore & IdleSource;
  readonly limits: Limits;
  /** What sidecars ask the supervisor for. */
  readonly local: LinkServerOptions['local'];
  /** Sessions that are open now, by the instance that they are on. Rejects when they cannot be counted. */
  countByInstance(): Promise<ReadonlyMap<InstanceId, number>>;
  /** Called every few seconds. */
  sweep(): void;
  close(): Promise<void>;
}

export interface SupervisorStateOptions {
  readonly settings: Pick<Settings, 'redisUrl'>;
  /** The file of session records, where no Redis keeps them. */
  readonly journal: string;
  readonly directory: Directory;
  readonly registry: Registry;
  readonly log: Logger;
}

export async function openSupervisorState({
  settings,
  journal: file,
  directory,
  registry,
  log,
}: SupervisorStateOptions): Promise<SupervisorState> {
  const closers = createClosers();
  if (settings.redisUrl !== undefined) {
    const { sessions, quotas, close } = openRedis(settings.redisUrl, 'supervisor', log);
    closers.add(close);
    // It judges no requests, so it has no share of them in an outage.
    const limits = guardLimits(quotas, { registry, log, alive: false });
    closers.add(() => limits.close());
    return {
      store: { ...sessions.store, idle: sessions.idle },
      limits,
      local: undefined,
      countByInstance: () =>
        sessions.countByInstance([...directory.snapshot().backends.values()].flatMap((backend) => backend.instances.map(({ id }) => id))),
      sweep: () => void sessions.tidy().catch(() => {}),
      close: closers.close,
    };
  }
  const store = createMemoryStore({ initial: await readJournal(file) });
  const journal = await openJournal(
    file,
    () => store.entries(),
    (err) => log.error({ err }, 'session records not written'),
  );
  store.onChange(journal.append);
  closers.add(() => journal.close());
  const quotas = createMemoryLimits();
  const limits = guardLimits(quotas, { registry, log, longestWaitMs: SUPERVISOR_WAIT_MS, alive: false });
  closers.add(() => limits.close());
  return {
    store,
    limits,
    local: { store, quotas },
    countByInstance: async () => store.countByInstance(),
    sweep: () => store.sweep(),
    close: closers.close,
  };
}
