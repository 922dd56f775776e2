// Copies of everything that the controller looks at, by backend: what is declared, what it has made, and the pods that run.

import type { Logger } from 'pino';
import { BACKEND_LABEL } from '../instances.ts';
import { type KubeObject, type KubeResource, keyOf, MCP_BACKENDS, MCP_TENANTS, PODS } from '../objects.ts';
import { createReflector, type Reflector } from '../reflector.ts';
import type { Transport } from '../transport.ts';
import { MANAGED_BY, MANAGED_BY_LABEL, OWNED_KINDS } from './kinds.ts';
import type { BackendPod } from './observed.ts';

export interface ClusterView {
  readonly synced: Promise<void>;
  /** Whether every copy is followed at the moment. */
  readonly connected: () => boolean;
  readonly backends: Reflector['items'];
  readonly tenants: Reflector['items'];
  /** An object of a backend, by `namespace/name`. */
  owned(kind: KubeResource, key: string): KubeObject | undefined;
  pods(backend: string): readonly BackendPod[];
  /** Names of backends that have pods. */
  backendsWithPods(): Iterable<string>;
  /** One listener at a time: whoever leads. Returns what ends it. */
  listen(listener: ViewListener): () => void;
  close(): Promise<void>;
}

export interface ViewListener {
  readonly onBackend: (name: string) => void;
  readonly onTenant: (name: string) => void;
  /** Called before `onBackend`. */
  readonly onOwned: (kind: KubeResource, key: string) => void;
}

export interface ClusterViewOptions {
  readonly transport: Pick<Transport, 'open' | 'ask'>;
  readonly namespace: string;
  readonly log: Logger;
}

export function watchCluster({ transport, namespace, log }: ClusterViewOptions): ClusterView {
  const follow = (kind: KubeResource, labelSelector?: string): Reflector =>
    createReflector({ transport, kind, namespace, log, ...(labelSelector !== undefined && { labelSelector }) });
  const backends = follow(MCP_BACKENDS);
  const tenants = follow(MCP_TENANTS);
  const pods = follow(PODS, BACKEND_LABEL);
  const owned = new Map(OWNED_KINDS.map((kind) => [kind.plural, follow(kind, `${MANAGED_BY_LABEL}=${MANAGED_BY}`)]));
  const all = [backends, tenants, pods, ...owned.values()];
  /** By backend, then by key. */
  const podsOf = new Map<string, Map<string, BackendPod>>();
  /** Where each object belongs, also when it is gone or has lost its label. */
  const backendOfKey = new Map<string, string>();
  let listener: ViewListener | undefined;

  const moved = (id: string, object: KubeObject | undefined): ReadonlySet<string> => {
    const before = backendOfKey.get(id);
    const after = object?.metadata.labels?.[BACKEND_LABEL];
    if (after === undefined) backendOfKey.delete(id);
    else backendOfKey.set(id, after);
    return new Set([before, after].filter((name) => name !== undefined));
  };

  backends.onChange((key) => listener?.onBackend(nameIn(key)));
  tenants.onChange((key) => listener?.onTenant(nameIn(key)));
  for (const kind of OWNED_KINDS) {
    owned.get(kind.plural)?.onChange((key, object) => {
      listener?.onOwned(kind, key);
      for (const name of moved(`${kind.plural}/${key}`, object)) listener?.onBackend(name);
    });
  }
  pods.onChange((key, pod) => {
    for (const name of moved(`${PODS.plural}/${key}`, pod)) {
      const known = podsOf.get(name) ?? new Map<string, BackendPod>();
      if (pod?.metadata.labels?.[BACKEND_LABEL] === name) podsOf.set(name, known.set(keyOf(pod), pod as BackendPod));
      else known.delete(key);
      if (known.size === 0) podsOf.delete(name);
      listener?.onBackend(name);
    }
  });

  return {
    synced: Promise.all(all.map((each) => each.synced)).then(() => {}),
    connected: () => all.every((each) => each.connected()),
    backends: backends.items,
    tenants: tenants.items,
    owned: (kind, key) => owned.get(kind.plural)?.items.get(key),
    pods: (backend) => [...(podsOf.get(backend)?.values() ?? [])],
    backendsWithPods: () => podsOf.keys(),
    listen(next) {
      listener = next;
      return () => {
        if (listener === next) listener = undefined;
      };
    },
    async close() {
      listener = undefined;
      await Promise.all(all.map((each) => each.close()));
    },
  };
}

function nameIn(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}
