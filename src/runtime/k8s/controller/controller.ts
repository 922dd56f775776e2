// The controller as a whole: it watches always, and writes while it leads.

import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createKubeApi, type KubeApi } from '../api.ts';
import type { Transport } from '../transport.ts';
import { type ClusterView, watchCluster } from './cluster-view.ts';
import { createEventWriter } from './events.ts';
import { fenced } from './fenced.ts';
import { type Leader, type Leadership, type LeaseTiming, takePart } from './leader.ts';
import { createOwnedObjects } from './owned-objects.ts';
import { createDeletionCosts, type DeletionCosts } from './pod-deletion-cost.ts';
import { type ControllerHooks, createReconciler } from './reconcile.ts';
import { createShaper } from './shape.ts';
import { createWorkQueue } from './work-queue.ts';
import type { WorkloadOptions } from './workload.ts';

/** Everything is looked at again so often, in case that something was missed. */
const RESYNC_MS = 300_000;
const COSTS_MS = 10_000;
const CONNECT_POLL_MS = 100;
/** Of the Lease, in the gateway's namespace. */
const LEASE = 'mcp-gateway-controller';

export interface ControllerOptions {
  readonly transport: Transport;
  /** Default: by `transport`. */
  readonly api?: KubeApi;
  readonly workload: WorkloadOptions;
  readonly hooks: ControllerHooks;
  /** The pod's name. */
  readonly identity: string;
  readonly log: Logger;
  readonly leaseTiming?: LeaseTiming;
}

export interface Controller {
  /** Resolves when it has seen everything once. Does not reject. */
  readonly synced: Promise<void>;
  /** What it watches: also for those who only read. */
  readonly view: ClusterView;
  readonly connected: () => boolean;
  readonly isLeader: () => boolean;
  /** Who leads, as the Lease says. */
  readonly leader: () => string | undefined;
  /** A hook would answer otherwise by now, or will in `afterMs`. Does nothing unless this controller leads. */
  look(backend: string, afterMs?: number): void;
  /** Ends what it does and gives the lease away. */
  close(): Promise<void>;
}

export function createController(options: ControllerOptions): Controller {
  const { transport, workload, log, identity, leaseTiming } = options;
  const api = options.api ?? createKubeApi(transport);
  const view = watchCluster({ transport, namespace: workload.namespace, log });
  let look: Controller['look'] = () => {};

  const lead = async ({ signal, holds }: Leadership): Promise<void> => {
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([view.synced, aborted]);
    // What was seen before the last leader's changes would undo them.
    while (!signal.aborted && !view.connected()) await delay(CONNECT_POLL_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const term = startTerm({ ...options, api: fenced(api, holds), view });
    look = term.look;
    await aborted;
    look = () => {};
    await term.close();
  };

  const leader: Leader = takePart({
    ...{ api, namespace: workload.gatewayNamespace, name: LEASE, identity, lead, log },
    ...(leaseTiming && { timing: leaseTiming }),
  });
  return {
    synced: view.synced,
    view,
    connected: view.connected,
    isLeader: leader.isLeader,
    leader: leader.holder,
    look: (backend, afterMs) => look(backend, afterMs),
    async close() {
      await leader.close();
      await view.close();
    },
  };
}

interface Term {
  look(backend: string, afterMs?: number): void;
  close(): Promise<void>;
}

/** What a leader does until it is closed. */
function startTerm({ api, view, workload, hooks, identity, log }: ControllerOptions & { api: KubeApi; view: ClusterView }): Term {
  const objects = createOwnedObjects({ api, cached: view.owned });
  const costs = createDeletionCosts({ api, sessionsOn: hooks.sessionsOn, log });
  const shaper = createShaper({ view, objects, costs, workload });
  const events = createEventWriter({ api, instance: identity, log });
  const reconciler = createReconciler({ api, view, namespace: workload.namespace, shaper, hooks, events });
  const queue = createWorkQueue({
    log,
    async work(key, signal) {
      const [kind, name = ''] = key.split('/');
      if (kind === 'tenant') {
        await reconciler.tenant(name, signal);
        return;
      }
      const againMs = await reconciler.backend(name, signal);
      if (againMs !== undefined) queue.addAfter(key, againMs);
    },
  });
  const silence = view.listen({
    onBackend: (name) => queue.add(`backend/${name}`),
    onTenant: (name) => queue.add(`tenant/${name}`),
    onOwned: objects.seen,
  });
  const lookAtAll = (): void => {
    for (const { metadata } of view.backends.values()) queue.add(`backend/${metadata.name}`);
    for (const { metadata } of view.tenants.values()) queue.add(`tenant/${metadata.name}`);
  };
  const resync = setInterval(lookAtAll, RESYNC_MS);
  const costsKept = keepCosts({ view, costs, log });
  lookAtAll();
  return {
    look(backend, afterMs = 0) {
      if (afterMs > 0) queue.addAfter(`backend/${backend}`, afterMs);
      else queue.add(`backend/${backend}`);
    },
    async close() {
      clearInterval(resync);
      silence();
      await Promise.all([queue.close(), costsKept.close()]);
    },
  };
}

/** Writes the order in which pods go, before anybody needs it. */
function keepCosts({ view, costs, log }: { view: ClusterView; costs: DeletionCosts; log: Logger }): { close(): Promise<void> } {
  const closing = new AbortController();
  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await delay(COSTS_MS, undefined, { signal: closing.signal }).catch(() => {});
      for (const name of [...view.backendsWithPods()]) {
        if (closing.signal.aborted) return;
        const pods = view.pods(name);
        if (pods.length > 1) await costs.update(pods, closing.signal);
      }
    }
  };
  const running = run().catch((error: unknown) => log.error({ err: error }, 'deletion costs are no longer written'));
  return {
    async close() {
      closing.abort(new Error('closed'));
      await running;
    },
  };
}
