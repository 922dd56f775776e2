// What was declared by API on Kubernetes: MCPBackends and MCPTenants that carry their creator, kept by the API server.

import type { ResourceDocument } from '../config/resource-document.ts';
import { API_VERSION, CREATED_BY, type Resource } from '../config/resources.ts';
import type { KubeApi } from '../runtime/k8s/api.ts';
import { type KubeObject, type KubeResource, MCP_BACKENDS, MCP_TENANTS } from '../runtime/k8s/objects.ts';
import { KubeError } from '../runtime/k8s/transport.ts';
import { keepValues, type StoredValues } from './cluster-values.ts';
import { ControlRefusal, declaredElsewhere } from './refusal.ts';
import { InvalidDocument, type Registered, type Registry, registered } from './registry.ts';

/** Somebody else changes the same object again and again. */
const MAX_ATTEMPTS = 5;

/** On an MCPBackend: its pods are replaced when it changes. */
const RESTART = 'mcpgateway.dev/restart';
const WAKE = 'mcpgateway.dev/wake';

type Kind = ResourceDocument['kind'];
const KINDS: Readonly<Record<Kind, KubeResource>> = { MCPBackend: MCP_BACKENDS, MCPTenant: MCP_TENANTS };

export interface ClusterRegistryOptions {
  readonly api: KubeApi;
  readonly namespace: string;
  /** Copies of what the API server has, by `namespace/name`. */
  readonly seen: Readonly<Record<Kind, { readonly items: ReadonlyMap<string, KubeObject> }>>;
  /** Resolves when the copies show this version of the object, or that it is gone; bounded. */
  readonly shown: (kind: Kind, name: string, resourceVersion: string | undefined) => Promise<void>;
}

/**
 * Objects that were made with kubectl are not in it, and are not changed by it. Values of variables are in a Secret of the backend's, which goes
 * with it.
 */
export function createClusterRegistry({ api, namespace, seen, shown }: ClusterRegistryOptions): Registry {
  const find = (kind: Kind, name: string): Registered | undefined => {
    const object = seen[kind].items.get(`${namespace}/${name}`);
    return object && byApi(object) ? readAs(kind, object) : undefined;
  };

  const write = async (
    kind: Kind,
    document: ResourceDocument,
    present: KubeObject | undefined,
    values: StoredValues | undefined,
  ): Promise<KubeObject> => {
    const { name, annotations } = document.metadata;
    const object: KubeObject = {
      metadata: {
        ...{
          name,
          namespace,
          annotations: { ...keptAnnotations(present), ...(values?.changed && { [RESTART]: new Date().toISOString() }), ...annotations },
        },
        ...(present && { uid: present.metadata.uid, resourceVersion: present.metadata.resourceVersion, labels: present.metadata.labels }),
      } as KubeObject['metadata'],
      spec: document.spec,
    };
    await values?.add();
    const written = present ? await api.replace(KINDS[kind], object) : await api.create(KINDS[kind], object);
    await values?.settle(written.metadata.uid ?? '');
    return written;
  };

  const changeOnce = async (
    kind: Kind,
    name: string,
    change: (present: Registered | undefined) => ResourceDocument | undefined,
    check: ((next: Resource) => void) | undefined,
  ): Promise<Registered | undefined> => {
    const present = await api.get(KINDS[kind], name, namespace);
    if (present && !byApi(present)) throw declaredElsewhere(name, `kubernetes:${namespace}/${name}`);
    if (present?.metadata.deletionTimestamp !== undefined) throw new ControlRefusal('unavailable', `${name} is being removed: try again`);
    const before = present && readAs(kind, present);
    if (present && !before) throw new ControlRefusal('unavailable', `what is registered as ${name} makes no sense: see kubectl describe`);
    const document = change(before);
    if (document === undefined) {
      if (!present) return undefined;
      await api.delete(KINDS[kind], name, namespace, { uid: present.metadata.uid, propagation: 'Background' });
      await shown(kind, name, undefined);
      return undefined;
    }
    const { document: kept, values } = kind === 'MCPBackend' ? keepValues(document, { api, namespace }) : { document, values: undefined };
    const next = registered(kept, '');
    check?.(next.resource);
    const written = await write(kind, kept, present, values);
    await shown(kind, name, written.metadata.resourceVersion);
    return readAs(kind, written) ?? next;
  };

  return {
    list: () =>
      (Object.keys(KINDS) as Kind[]).flatMap((kind) =>
        [...seen[kind].items.values()]
          .filter(byApi)
          .flatMap((object) => readAs(kind, object) ?? [])
          .toSorted((a, b) => (a.resource.name < b.resource.name ? -1 : 1)),
      ),
    find,
    async change(kind, name, change, check) {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await changeOnce(kind, name, change, check);
        } catch (error) {
          // Somebody was faster: what they made of it is what the change is made to now.
          if (error instanceof KubeError && error.code === 409 && attempt < MAX_ATTEMPTS) continue;
          throw asRefusal(error);
        }
      }
    },
  };
}

/** Those of others, and marks of the controller's that the API has no say in. */
function keptAnnotations(present: KubeObject | undefined): Record<string, string> {
  const all = Object.entries(present?.metadata.annotations ?? {});
  return Object.fromEntries(all.filter(([key]) => !key.startsWith('mcpgateway.dev/') || key === RESTART || key === WAKE));
}

const byApi = ({ metadata }: KubeObject): boolean => metadata.annotations?.[CREATED_BY] !== undefined;

function readAs(kind: Kind, { metadata, spec }: KubeObject): Registered | undefined {
  const { name, annotations = {} } = metadata;
  // Not of the API's business, and large.
  const own = Object.fromEntries(Object.entries(annotations).filter(([key]) => key.startsWith('mcpgateway.dev/')));
  try {
    return registered({ apiVersion: API_VERSION, kind, metadata: { name, annotations: own }, spec: spec as ResourceDocument['spec'] }, '');
  } catch {
    return undefined;
  }
}

function asRefusal(error: unknown): unknown {
  if (error instanceof ControlRefusal || error instanceof InvalidDocument) return error;
  if (!(error instanceof KubeError)) return new ControlRefusal('unavailable', 'the Kubernetes API server cannot be reached: try again');
  if (error.code === 422 || error.code === 400) return new ControlRefusal('invalid', error.message);
  if (error.code === 409) return new ControlRefusal('unavailable', 'others change it at the same time: try again');
  return new ControlRefusal('unavailable', `the Kubernetes API server refuses it: ${error.message}`);
}
