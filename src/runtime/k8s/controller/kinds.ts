// The kinds of objects that a backend consists of in the cluster, and what marks them as the controller's.

import type { KubeObject, KubeResource } from '../objects.ts';

/** Under this name the API server knows which fields are the controller's. */
export const FIELD_MANAGER = 'mcp-gateway-controller';
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
export const MANAGED_BY = 'mcp-gateway';

const apps = (plural: string, kind: string): KubeResource => ({ group: 'apps', version: 'v1', plural, kind, namespaced: true });
const core = (plural: string, kind: string): KubeResource => ({ group: '', version: 'v1', plural, kind, namespaced: true });

export const DEPLOYMENTS = apps('deployments', 'Deployment');
export const STATEFUL_SETS = apps('statefulsets', 'StatefulSet');
export const SERVICES = core('services', 'Service');
export const SERVICE_ACCOUNTS = core('serviceaccounts', 'ServiceAccount');
export const NETWORK_POLICIES: KubeResource = {
  ...{ group: 'networking.k8s.io', version: 'v1', plural: 'networkpolicies', kind: 'NetworkPolicy', namespaced: true },
};
export const DISRUPTION_BUDGETS: KubeResource = {
  ...{ group: 'policy', version: 'v1', plural: 'poddisruptionbudgets', kind: 'PodDisruptionBudget', namespaced: true },
};
export const LEASES: KubeResource = {
  ...{ group: 'coordination.k8s.io', version: 'v1', plural: 'leases', kind: 'Lease', namespaced: true },
};
export const EVENTS: KubeResource = { group: 'events.k8s.io', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };

/** What a backend owns, in the order in which it is made: pods come last but for what counts them. */
export const OWNED_KINDS: readonly KubeResource[] = [
  ...[SERVICE_ACCOUNTS, NETWORK_POLICIES, SERVICES, DEPLOYMENTS, STATEFUL_SETS, DISRUPTION_BUDGETS],
];

/** An object that shall be there, complete in what the controller has to say about it. */
export interface Wanted {
  readonly kind: KubeResource;
  readonly object: KubeObject;
}
