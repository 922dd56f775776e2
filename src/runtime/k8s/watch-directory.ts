// From the Kubernetes API to the directory: backends, tenants and the instances that exist, followed for as long as the gateway runs.

import type { Logger } from 'pino';
import type { BackendResource, TenantResource } from '../../config/resources.ts';
import type { BackendName } from '../../core/ids.ts';
import type { DirectoryWriter } from '../../directory/snapshot.ts';
import { toPolicy, toTenantPolicy } from '../policy.ts';
import { backendOf, tenantOf } from './declared.ts';
import { BACKEND_LABEL, type EndpointSlice, instancesOf, type Pod, SERVICE_LABEL } from './instances.ts';
import { ENDPOINT_SLICES, type KubeObject, MCP_BACKENDS, MCP_TENANTS, PODS } from './objects.ts';
import { createReflector } from './reflector.ts';
import type { Transport } from './transport.ts';

/** A `url:` backend: no pods, but an address to find and a server to ask. */
export interface RemoteBackend {
  update(resource: BackendResource): void;
  stop(): Promise<void>;
}

export interface WatchDirectoryOptions {
  readonly transport: Pick<Transport, 'open' | 'ask'>;
  readonly namespace: string;
  readonly directory: DirectoryWriter;
  readonly createRemote: (resource: BackendResource) => RemoteBackend;
  readonly log: Logger;
}

export interface WatchedDirectory {
  /** Resolves when the directory holds everything that the API server knows. Does not reject. */
  readonly synced: Promise<void>;
  /** Whether every watch is connected. What was seen last counts while one is not. */
  readonly connected: () => boolean;
  close(): Promise<void>;
}

export function watchDirectory({ transport, namespace, directory, createRemote, log }: WatchDirectoryOptions): WatchedDirectory {
  const follow = <T extends KubeObject>(kind: Parameters<typeof createReflector>[0]['kind'], labelSelector?: string) =>
    createReflector<T>({ transport, kind, namespace, log, ...(labelSelector !== undefined && { labelSelector }) });
  const backends = follow(MCP_BACKENDS);
  const tenants = follow(MCP_TENANTS);
  const slices = follow<EndpointSlice>(ENDPOINT_SLICES, BACKEND_LABEL);
  const pods = follow<Pod>(PODS, BACKEND_LABEL);
  const all = [backends, tenants, slices, pods];

  /** By Service, and where each slice stands. */
  const slicesOf = new Map<string, Map<string, EndpointSlice>>();
  const serviceOf = new Map<string, string>();
  const backendOfPod = new Map<string, string>();
  const declared = new Map<string, { readonly policy: string; readonly movable: boolean; readonly published: string }>();
  const timers = new Map<string, NodeJS.Timeout>();
  const remotes = new Map<string, RemoteBackend>();
  const leaving = new Set<Promise<void>>();
  /** What one turn of the event loop has changed is written together. */
  const changed = { instances: new Set<string>(), backends: new Set<string>(), tenants: false, scheduled: false };
  let isSynced = false;

  const schedule = (): void => {
    if (changed.scheduled || !isSynced) return;
    changed.scheduled = true;
    setImmediate(flush);
  };

  const flush = (): void => {
    changed.scheduled = false;
    for (const name of changed.backends) putBackend(name);
    for (const name of new Set([...changed.backends, ...changed.instances])) putInstances(name);
    if (changed.tenants) putTenants();
    changed.backends.clear();
    changed.instances.clear();
    changed.tenants = false;
  };

  const forget = (name: string): void => {
    const gone = remotes.get(name)?.stop();
    remotes.delete(name);
    lookAgain(name, undefined);
    if (gone) leaving.add(gone.finally(() => leaving.delete(gone)));
    if (declared.delete(name)) directory.removeBackend(name as BackendName);
  };

  const putBackend = (name: string): void => {
    const object = backends.items.get(`${namespace}/${name}`);
    if (!object) {
      forget(name);
      return;
    }
    const resource = backendOf(object);
    if (typeof resource === 'string') {
      // What was valid before goes on; the controller tells its owner.
      log.error({ backend: name, problem: resource }, 'backend refused');
      return;
    }
    if (resource.spec.url !== undefined) {
      if (declared.has(name)) forget(name);
      const known = remotes.get(name);
      if (known) known.update(resource);
      else remotes.set(name, createRemote(resource));
      return;
    }
    if (remotes.has(name)) {
      forget(name);
      directory.removeBackend(name as BackendName);
    }
    const policy = toPolicy(resource);
    const text = JSON.stringify(policy);
    const before = declared.get(name);
    if (before?.policy === text) return;
    directory.putBackend(policy);
    declared.set(name, { policy: text, movable: policy.sessions.recovery === 'reinitialize', published: before?.published ?? '[]' });
  };

  const putInstances = (name: string): void => {
    const known = declared.get(name);
    if (!known) return;
    const { movable } = known;
    const own = [...(slicesOf.get(name)?.values() ?? [])];
    const now = Date.now();
    const { instances, againAt } = instancesOf({ name, movable }, own, (pod) => pods.items.get(`${namespace}/${pod}`), now);
    lookAgain(name, againAt === undefined ? undefined : againAt - now);
    const published = JSON.stringify(instances);
    if (published === known.published) return;
    declared.set(name, { ...known, published });
    directory.putInstances(name as BackendName, instances);
  };

  const lookAgain = (name: string, afterMs: number | undefined): void => {
    clearTimeout(timers.get(name));
    timers.delete(name);
    if (afterMs === undefined) return;
    const look = (): void => {
      changed.instances.add(name);
      schedule();
    };
    timers.set(name, setTimeout(look, afterMs));
  };

  const putTenants = (): void => {
    const read: TenantResource[] = [];
    for (const object of tenants.items.values()) {
      const resource = tenantOf(object);
      if (typeof resource === 'string') log.error({ tenant: object.metadata.name, problem: resource }, 'tenant refused');
      else read.push(resource);
    }
    directory.putTenants(read.map(toTenantPolicy));
  };

  backends.onChange((key) => {
    changed.backends.add(nameIn(key));
    schedule();
  });
  tenants.onChange(() => {
    changed.tenants = true;
    schedule();
  });
  slices.onChange((key, slice) => {
    const before = serviceOf.get(key);
    if (before !== undefined) {
      slicesOf.get(before)?.delete(key);
      if (slicesOf.get(before)?.size === 0) slicesOf.delete(before);
      serviceOf.delete(key);
      changed.instances.add(before);
    }
    const service = slice?.metadata.labels?.[SERVICE_LABEL];
    if (slice && service !== undefined) {
      serviceOf.set(key, service);
      slicesOf.set(service, (slicesOf.get(service) ?? new Map<string, EndpointSlice>()).set(key, slice));
      changed.instances.add(service);
    }
    schedule();
  });
  pods.onChange((key, pod) => {
    const name = pod?.metadata.labels?.[BACKEND_LABEL] ?? backendOfPod.get(key);
    if (pod && name !== undefined) backendOfPod.set(key, name);
    else backendOfPod.delete(key);
    if (name !== undefined) changed.instances.add(name);
    schedule();
  });

  return {
    synced: Promise.all(all.map((each) => each.synced)).then(() => {
      isSynced = true;
      changed.tenants = true;
      flush();
    }),
    connected: () => all.every((each) => each.connected()),
    async close() {
      await Promise.all(all.map((each) => each.close()));
      for (const name of [...remotes.keys(), ...declared.keys()]) forget(name);
      await Promise.all(leaving);
    },
  };
}

function nameIn(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}
