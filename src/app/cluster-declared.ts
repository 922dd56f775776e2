// What is declared on Kubernetes at the moment, as the use cases of control take it: read from the controller's copies.

import type { BackendResource, TenantResource } from '../config/resources.ts';
import { createClusterRegistry } from '../control/cluster-registry.ts';
import type { Registry } from '../control/registry.ts';
import type { KubeApi } from '../runtime/k8s/api.ts';
import type { ClusterView } from '../runtime/k8s/controller/cluster-view.ts';
import { backendOf, tenantOf } from '../runtime/k8s/declared.ts';
import type { KubeObject } from '../runtime/k8s/objects.ts';

/** A change is waited for no longer: the copies lag while the API server is being restarted. */
const SHOWN_TIMEOUT_MS = 3_000;
const POLL_MS = 20;

export interface ClusterDeclaredOptions {
  readonly api: KubeApi;
  readonly view: Pick<ClusterView, 'backends' | 'tenants'>;
  readonly namespace: string;
}

export interface ClusterDeclared {
  readonly registry: Registry;
  backends(): readonly BackendResource[];
  tenants(): readonly TenantResource[];
}

export function createClusterDeclared({ api, view, namespace }: ClusterDeclaredOptions): ClusterDeclared {
  const seen = { MCPBackend: { items: view.backends }, MCPTenant: { items: view.tenants } };
  const where = ({ metadata }: KubeObject): string => `kubernetes:${metadata.namespace}/${metadata.name}`;
  const valid = <T extends BackendResource | TenantResource>(
    items: ReadonlyMap<string, KubeObject>,
    read: (object: KubeObject) => T | string,
  ): T[] =>
    [...items.values()].flatMap((object) => {
      const resource = read(object);
      return typeof resource === 'string' || object.metadata.deletionTimestamp !== undefined ? [] : [{ ...resource, file: where(object) }];
    });

  return {
    registry: createClusterRegistry({
      ...{ api, namespace, seen },
      async shown(kind, name, resourceVersion) {
        const deadline = performance.now() + SHOWN_TIMEOUT_MS;
        const isShown = (): boolean => {
          const object = seen[kind].items.get(`${namespace}/${name}`);
          if (resourceVersion === undefined) return object === undefined || object.metadata.deletionTimestamp !== undefined;
          // The controller's own status may have come after it.
          return object !== undefined && Number(object.metadata.resourceVersion) >= Number(resourceVersion);
        };
        while (!isShown() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      },
    }),
    backends: () => valid(view.backends, backendOf),
    tenants: () => valid(view.tenants, tenantOf),
  };
}
