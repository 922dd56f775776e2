// Sessions and limits as the controller sees them: in Redis, or known from the gateways' reports alone.

import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { InstanceId } from '../core/ids.ts';
import type { Directory } from '../directory/directory.ts';
import type { Limits } from '../quota/limits.ts';
import { createMemoryLimits } from '../quota/memory-limits.ts';
import type { UseBoard } from '../runtime/k8s/controller/use-board.ts';
import type { SessionStore } from '../session/store.ts';
import { createClosers } from './closers.ts';
import { guardLimits, openRedis } from './shared-state.ts';

export interface ClusterState {
  readonly store: SessionStore;
  readonly limits: Limits;
  countByInstance(): Promise<ReadonlyMap<InstanceId, number>>;
  close(): Promise<void>;
}

export interface ClusterStateOptions {
  readonly redisUrl: string | undefined;
  readonly directory: Pick<Directory, 'snapshot'>;
  readonly board: Pick<UseBoard, 'instance'>;
  readonly metrics: Registry;
  readonly log: Logger;
}

/** Without Redis each gateway keeps its sessions to itself: they can be counted, but neither listed nor ended from here. */
export function openClusterState({ redisUrl, directory, board, metrics, log }: ClusterStateOptions): ClusterState {
  const closers = createClosers();
  const instances = (): InstanceId[] =>
    [...directory.snapshot().backends.values()].flatMap((backend) => backend.instances.map(({ id }) => id));
  const redis = redisUrl === undefined ? undefined : openRedis(redisUrl, 'controller', log);
  if (redis) closers.add(() => redis.close());
  // It judges no requests, so it has no share of them in an outage.
  const limits = guardLimits(redis?.quotas ?? createMemoryLimits(), { registry: metrics, log, alive: false });
  closers.add(() => limits.close());
  return {
    store: redis?.sessions.store ?? unreachable,
    limits,
    countByInstance: redis
      ? () => redis.sessions.countByInstance(instances())
      : async () => new Map(instances().map((id) => [id, board.instance(id).sessions])),
    close: closers.close,
  };
}

const absent = async (): Promise<never> => {
  throw new Error('sessions are kept by each gateway alone: the controller needs Redis (REDIS_URL) to see them');
};

/** Every question to it is refused. */
const unreachable = new Proxy({} as SessionStore, { get: (_, method) => (method === 'then' ? undefined : absent) });
