// What the Kubernetes API speaks of: objects, the resources that they belong to, and the ones that the gateway uses.

/** `metadata` of an object, as far as it matters here. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** Any object; its other fields are judged by whoever reads them. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

/** A kind of objects and where the API serves it. `group` is empty for the core. */
export interface KubeResource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

const resource = (group: string, version: string, plural: string, kind: string, namespaced = true): KubeResource =>
  Object.freeze({ group, version, plural, kind, namespaced });

export const MCP_BACKENDS = resource('mcpgateway.dev', 'v1alpha1', 'mcpbackends', 'MCPBackend');
export const MCP_TENANTS = resource('mcpgateway.dev', 'v1alpha1', 'mcptenants', 'MCPTenant');
export const ENDPOINT_SLICES = resource('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice');
export const PODS = resource('', 'v1', 'pods', 'Pod');

/** `group/version`, or the version alone for the core. */
export function apiVersionOf({ group, version }: KubeResource): string {
  return group === '' ? version : `${group}/${version}`;
}

/** The path of one object, or of all of them where `name` is undefined; in every namespace where `namespace` is undefined. */
export function pathOf(kind: KubeResource, namespace: string | undefined, name?: string, subresource?: string): string {
  const root = kind.group === '' ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const within = kind.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const one = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${within}/${kind.plural}${one}${subresource === undefined ? '' : `/${subresource}`}`;
}

/** `namespace/name`: what an object is called in caches and queues. */
export function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
