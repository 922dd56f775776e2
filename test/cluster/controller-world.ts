// For tests of the controller: a real API server with the cluster's own controllers, ours with the rights that it is installed with, and the hand that makes pods ready.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { createKubeApi, type KubeApi } from '../../src/runtime/k8s/api.ts';
import { type Controller, type ControllerOptions, createController } from '../../src/runtime/k8s/controller/controller.ts';
import type { LeaseTiming } from '../../src/runtime/k8s/controller/leader.ts';
import type { WorkloadOptions } from '../../src/runtime/k8s/controller/workload.ts';
import { type KubeObject, type KubeResource, MCP_BACKENDS, PODS, pathOf } from '../../src/runtime/k8s/objects.ts';
import { openTransport, type Transport } from '../../src/runtime/k8s/transport.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type ApiServer, startApiServer } from './api-server.ts';

const namespace = 'mcp';
const gatewayNamespace = 'mcp-gateway';
const ACCOUNT = 'mcp-gateway-controller';
/** What controllers are told about the cluster. */
export const workload: WorkloadOptions = {
  ...{ namespace, gatewayNamespace, runnerImage: 'registry.example/runner:1', drainGraceMs: 600_000 },
  controllerUrl: `http://mcp-gateway-controller.${gatewayNamespace}:8082`,
};
/** Of the product, but for how often those who wait look: a busy machine does not make anybody lose it. */
export const STEADY_LEASE: LeaseTiming = { leaseMs: 15_000, deadlineMs: 10_000, renewMs: 2_000, pollMs: 250 };
/** Short enough that tests need not wait for a lease to lapse. */
export const QUICK_LEASE: LeaseTiming = { leaseMs: 2_000, deadlineMs: 1_200, renewMs: 300, pollMs: 100 };

export interface Write {
  readonly by: string;
  readonly verb: 'create' | 'replace' | 'apply' | 'patch' | 'delete';
  readonly kind: string;
  readonly name: string;
  /** performance.now() when it was sent, and when its answer was there. */
  readonly from: number;
  readonly to: number;
}

/** Whatever tests look at in an object. */
// biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary fields of arbitrary objects.
export type Seen = KubeObject & Record<string, any>;

export interface World {
  readonly server: ApiServer;
  /** With every right. */
  readonly api: KubeApi;
  /** With the controller's rights. */
  readonly own: { readonly api: KubeApi; readonly transport: Transport };
  readonly namespace: string;
  readonly gatewayNamespace: string;
  /** All writes of all controllers, leases included. */
  readonly writes: Write[];
  /** Writes to anything but the lease. */
  work(): Write[];
  controller(by: string, options?: Partial<ControllerOptions>): Controller;
  declare(name: string, spec: Record<string, unknown>, annotations?: Record<string, string>): Promise<Seen>;
  get(kind: KubeResource, name: string): Promise<Seen | undefined>;
  list(kind: KubeResource): Promise<Seen[]>;
  condition(name: string, type: string): Promise<{ status: string; reason: string; message: string } | undefined>;
  /** As a kubelet would say it. */
  makeReady(backend: string): Promise<void>;
  /** Also those that a failed test has left. */
  closeControllers(): Promise<void>;
  close(): Promise<void>;
}

/** Needs nobody's kubelet. One file of tests has one. */
export async function createWorld(): Promise<World> {
  const server = await startApiServer({ controllers: true });
  const manifest = (path: string): string => readFileSync(join(import.meta.dirname, '../../k8s', path), 'utf8');
  await server.kubectl.apply(manifest('base/namespaces.yaml'));
  for (const kind of ['mcpbackends', 'mcptenants']) await server.kubectl.apply(manifest(`crds/mcpgateway.dev_${kind}.yaml`));
  await server.kubectl.apply(manifest('base/rbac.yaml'));
  await server.kubectl(['wait', '--for=condition=Established', 'crd/mcpbackends.mcpgateway.dev', 'crd/mcptenants.mcpgateway.dev']);
  const transport = await openTransport({ kubeconfig: server.kubeconfig });
  const ownTransport = await openTransport({ kubeconfig: await server.kubeconfigOf(ACCOUNT, gatewayNamespace) });
  const api = createKubeApi(transport);
  const own = { transport: ownTransport, api: createKubeApi(ownTransport) };
  const writes: Write[] = [];
  const controllers: Controller[] = [];

  const list = async (kind: KubeResource): Promise<Seen[]> => {
    const answer = (await transport.ask({ method: 'GET', path: pathOf(kind, namespace), signal: AbortSignal.timeout(30_000) })) as {
      readonly items: Seen[];
    };
    return answer.items;
  };

  const closeControllers = async (): Promise<void> => {
    await Promise.all(controllers.splice(0).map((controller) => controller.close()));
  };

  return {
    ...{ server, api, own, namespace, gatewayNamespace, writes, list },
    work: () => writes.filter(({ kind }) => kind !== 'leases'),
    controller(by, options = {}) {
      const controller = createController({
        transport: own.transport,
        workload,
        hooks: { replicasWanted: ({ spec }) => spec.replicas, sessionsOn: () => 0 },
        identity: by,
        log: pino({ level: process.env['CONTROLLER_LOG'] ?? 'silent' }),
        leaseTiming: QUICK_LEASE,
        ...options,
        api: recorded(options.api ?? own.api, by, writes),
      });
      controllers.push(controller);
      return controller;
    },
    async declare(name, spec, annotations) {
      const metadata = { name, namespace, ...(annotations && { annotations }) };
      return (await api.apply(MCP_BACKENDS, { metadata, spec }, { fieldManager: 'test', force: true })) as Seen;
    },
    async get(kind, name) {
      return (await api.get(kind, name, namespace)) as Seen | undefined;
    },
    async condition(name, type) {
      const object = (await api.get(MCP_BACKENDS, name, namespace)) as Seen | undefined;
      return object?.['status']?.conditions?.find((each: { type: string }) => each.type === type);
    },
    async makeReady(backend) {
      for (const pod of await list(PODS)) {
        if (pod.metadata.labels?.['mcpgateway.dev/backend'] === backend && pod['status'].phase !== 'Running') {
          await api.patch(PODS, pod.metadata.name, namespace, { status: readyStatus() }, undefined, 'status');
        }
      }
    },
    closeControllers,
    async close() {
      await closeControllers();
      transport.close();
      ownTransport.close();
      await server.stop();
    },
  };
}

function readyStatus() {
  const now = new Date().toISOString();
  const types = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'];
  return {
    phase: 'Running',
    startTime: now,
    conditions: types.map((type) => ({ type, status: 'True', lastTransitionTime: now })),
    containerStatuses: [
      {
        ...{ name: 'server', image: 'x', imageID: 'x', ready: true, started: true, restartCount: 0 },
        state: { running: { startedAt: now } },
      },
    ],
  };
}

/** As `api`, with a line in `writes` for everything that may have changed something. */
export function recorded(api: KubeApi, by: string, writes: Write[]): KubeApi {
  const noted = async <T>(verb: Write['verb'], kind: KubeResource, name: string, write: () => Promise<T>): Promise<T> => {
    const from = performance.now();
    try {
      return await write();
    } finally {
      writes.push({ by, verb, kind: kind.plural, name, from, to: performance.now() });
    }
  };
  return {
    get: api.get,
    create: (kind, object, ...rest) => noted('create', kind, object.metadata.name, () => api.create(kind, object, ...rest)),
    replace: (kind, object, ...rest) => noted('replace', kind, object.metadata.name, () => api.replace(kind, object, ...rest)),
    apply: (kind, object, ...rest) => noted('apply', kind, object.metadata.name, () => api.apply(kind, object, ...rest)),
    patch: (kind, name, ...rest) => noted('patch', kind, name, () => api.patch(kind, name, ...rest)),
    delete: (kind, name, ...rest) => noted('delete', kind, name, () => api.delete(kind, name, ...rest)),
  };
}

/** As `api` until `writesLeft` writes have been done: the answer of the last one is lost, and from then on nothing is heard or done. */
export function mortal(api: KubeApi, writesLeft: number): { readonly api: KubeApi; readonly isDead: () => boolean } {
  let left = writesLeft;
  const killed = (): Error => new Error('killed');
  const living = async <T>(isWrite: boolean, call: () => Promise<T>): Promise<T> => {
    if (left <= 0) throw killed();
    if (isWrite) left -= 1;
    const last = left <= 0;
    const answer = await call();
    if (last) throw killed();
    return answer;
  };
  const counted = (kind: KubeResource): boolean => kind.plural !== 'leases';
  return {
    isDead: () => left <= 0,
    api: {
      get: (kind, ...rest) => living(false, () => api.get(kind, ...rest)),
      create: (kind, ...rest) => living(counted(kind), () => api.create(kind, ...rest)),
      replace: (kind, ...rest) => living(counted(kind), () => api.replace(kind, ...rest)),
      apply: (kind, ...rest) => living(counted(kind), () => api.apply(kind, ...rest)),
      patch: (kind, ...rest) => living(counted(kind), () => api.patch(kind, ...rest)),
      delete: (kind, ...rest) => living(counted(kind), () => api.delete(kind, ...rest)),
    },
  };
}

/** Waits until the queue has had nothing to do for a moment: no write of anybody for `quietMs`. */
export async function quiet(world: World, quietMs = 700): Promise<void> {
  await waitFor('no more writes', () => performance.now() - Math.max(0, ...world.work().map(({ to }) => to)) > quietMs);
}
