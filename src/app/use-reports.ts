// Puts together what a gateway's pod knows of use, and tells it: counts of its sidecars, of the session store, and of its Envoy.

import type { Logger } from 'pino';
import type { InstanceId } from '../core/ids.ts';
import type { Directory } from '../directory/directory.ts';
import type { EnvoyAdmin } from '../envoy/admin.ts';
import type { GatewayUse } from '../runtime/k8s/controller/use-board.ts';
import type { ControllerLink } from './controller-link.ts';
import type { LinkServer } from './link-server.ts';
import { summed } from './use-counts.ts';

export const REPORT_MS = 5_000;
/** An instance that was never called is idle for as long as anybody asks. */
const NEVER_MS = 24 * 3_600_000;

export interface UseReportsOptions {
  readonly gateway: string;
  readonly directory: Pick<Directory, 'snapshot'>;
  readonly link: Pick<LinkServer, 'uses'>;
  readonly countByInstance: () => Promise<ReadonlyMap<InstanceId, number>>;
  /** Undefined when the Envoy is not ours to ask. */
  readonly envoy: Pick<EnvoyAdmin, 'activeByAddress'> | undefined;
  readonly controller: Pick<ControllerLink, 'report'> | undefined;
  readonly log: Logger;
}

export interface UseReports {
  /** Calls under way through this pod, event streams left out. */
  callsUnderWay(): Promise<number>;
  close(): void;
}

export function startUseReports(options: UseReportsOptions): UseReports {
  const { gateway, directory, link, countByInstance, envoy, controller, log } = options;
  const told = new Map<string, number>();

  /** What Envoy has open on an instance is the most that can be under way there: counts of a sidecar that died are lost. */
  const measure = async () => {
    const [counts, open] = await Promise.all([link.uses().then(summed), envoy?.activeByAddress().catch(() => undefined)]);
    const instances = new Map<string, { calls: number; idleMs: number }>();
    for (const { instances: all } of directory.snapshot().backends.values()) {
      for (const { id, address } of all) {
        const { calls = 0, idleMs = NEVER_MS } = counts.instances.get(id) ?? {};
        instances.set(id, { calls: open ? Math.min(calls, open.get(address) ?? 0) : calls, idleMs });
      }
    }
    // Instances that get nothing any more, but still have what was sent to them.
    for (const [id, use] of counts.instances) if (!instances.has(id) && use.calls > 0) instances.set(id, use);
    return { instances, backends: counts.backends };
  };

  const report = async (): Promise<void> => {
    const [{ instances, backends }, sessions] = await Promise.all([measure(), countByInstance().catch(() => undefined)]);
    // Without the numbers of sessions nobody may conclude that there are none.
    if (!sessions) return;
    const body: GatewayUse = {
      gateway,
      instances: Object.fromEntries(
        [...instances].map(([id, { calls, idleMs }]) => [id, { sessions: sessions.get(id as InstanceId) ?? 0, calls, idleMs }]),
      ),
      backends: Object.fromEntries(
        [...backends].map(([name, { requests, idleMs }]) => {
          const since = Math.max(0, requests - (told.get(name) ?? 0));
          told.set(name, requests);
          return [name, { idleMs: Math.round(idleMs), requests: since }];
        }),
      ),
    };
    for (const name of [...told.keys()]) if (!backends.has(name)) told.delete(name);
    await controller?.report(body);
  };

  let running = false;
  const timer = setInterval(() => {
    // A controller that is slow gets fewer reports, not several at once.
    if (running || !controller) return;
    running = true;
    report()
      .catch((err: unknown) => log.warn({ err }, 'use not reported'))
      .finally(() => {
        running = false;
      });
  }, REPORT_MS);

  return {
    async callsUnderWay() {
      let total = 0;
      for (const { calls } of (await measure()).instances.values()) total += calls;
      return total;
    },
    close: () => clearInterval(timer),
  };
}
