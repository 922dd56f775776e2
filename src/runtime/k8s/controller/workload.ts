// From a declared backend to the objects that it consists of in the cluster.

import type { BackendResource } from '../../../config/resources.ts';
import { BACKEND_LABEL, SERVER_PORT } from '../instances.ts';
import { apiVersionOf, type KubeResource, MCP_BACKENDS, type ObjectMeta } from '../objects.ts';
import { digestOf } from './difference.ts';
import {
  DEPLOYMENTS,
  DISRUPTION_BUDGETS,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  NETWORK_POLICIES,
  SERVICE_ACCOUNTS,
  SERVICES,
  STATEFUL_SETS,
  type Wanted,
} from './kinds.ts';
import { DATA_VOLUME, type PodOptions, podTemplate } from './pod-template.ts';

/** On a workload: what its pod template was made from. */
export const TEMPLATE_ANNOTATION = 'mcpgateway.dev/template';
const OLD_REVISIONS = 3;

export interface WorkloadOptions extends PodOptions {
  readonly namespace: string;
  /** Whose gateways and controllers may reach the pods. */
  readonly gatewayNamespace: string;
}

/** What the objects of one backend depend on besides its declaration. */
export interface WorkloadState {
  /** Of the MCPBackend: with it go the objects. */
  readonly uid: string;
  readonly replicas: number;
  /** A mark that replaces the pods when it changes. */
  readonly restart?: string | undefined;
  /** Default: that of the options. */
  readonly runnerImage?: string | undefined;
}

/** None for `url:` backends. In the order in which they are to be made. */
export function objectsOf(resource: BackendResource, state: WorkloadState, options: WorkloadOptions): readonly Wanted[] {
  const { name, spec } = resource;
  if (spec.image === undefined) return [];
  const labels = { 'app.kubernetes.io/name': name, [MANAGED_BY_LABEL]: MANAGED_BY, [BACKEND_LABEL]: name };
  const selector = { [BACKEND_LABEL]: name };
  const owner = { apiVersion: apiVersionOf(MCP_BACKENDS), kind: MCP_BACKENDS.kind, name, uid: state.uid, controller: true };
  const made = (kind: KubeResource, content: Readonly<Record<string, unknown>>, more: Partial<ObjectMeta> = {}): Wanted => ({
    kind,
    object: { metadata: { name, namespace: options.namespace, labels, ownerReferences: [owner], ...more }, ...content },
  });
  const runnerImage = state.runnerImage ?? options.runnerImage;
  const template = podTemplate(resource, labels, { ...options, runnerImage }, state.restart);
  const annotations = { [TEMPLATE_ANNOTATION]: digestOf(template) };
  const common = { replicas: state.replicas, revisionHistoryLimit: OLD_REVISIONS, minReadySeconds: 0, selector: { matchLabels: selector } };
  const workload = spec.storage
    ? [
        made(SERVICES, governingService(selector, spec.port), { name: name + GOVERNING_SUFFIX }),
        made(
          STATEFUL_SETS,
          {
            spec: {
              ...common,
              serviceName: name + GOVERNING_SUFFIX,
              podManagementPolicy: 'Parallel',
              updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
              // Data outlives what runs on it: whoever no longer wants it deletes the claims.
              persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
              template,
              volumeClaimTemplates: [claimTemplate(spec.storage)],
            },
          },
          { annotations },
        ),
      ]
    : [
        made(
          DEPLOYMENTS,
          {
            spec: {
              ...common,
              progressDeadlineSeconds: 900,
              // What serves goes on until its replacement is ready.
              strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: '25%' } },
              template,
            },
          },
          { annotations },
        ),
      ];
  return [
    made(SERVICE_ACCOUNTS, { automountServiceAccountToken: false }),
    made(NETWORK_POLICIES, { spec: reachedByGatewayOnly(selector, options.gatewayNamespace) }),
    made(SERVICES, service(selector, spec.port)),
    ...workload,
    ...(state.replicas > 1
      ? [
          made(DISRUPTION_BUDGETS, {
            spec: { maxUnavailable: 1, selector: { matchLabels: selector }, unhealthyPodEvictionPolicy: 'AlwaysAllow' },
          }),
        ]
      : []),
  ];
}

/** Of the Service that a StatefulSet has besides. */
export const GOVERNING_SUFFIX = '-headless';

function service(selector: Readonly<Record<string, string>>, port: number) {
  const ports = [{ name: SERVER_PORT, port, targetPort: SERVER_PORT, protocol: 'TCP' }];
  return { spec: { type: 'ClusterIP', selector, ports, sessionAffinity: 'None', internalTrafficPolicy: 'Cluster' } };
}

/** What a StatefulSet needs so that its pods have names. */
function governingService(selector: Readonly<Record<string, string>>, port: number) {
  const ports = [{ name: SERVER_PORT, port, targetPort: SERVER_PORT, protocol: 'TCP' }];
  return { spec: { type: 'ClusterIP', clusterIP: 'None', selector, ports, sessionAffinity: 'None', publishNotReadyAddresses: true } };
}

/** The kubelet, whose probes and whose call to the drain agent come from the node itself, is not held up by policies. */
function reachedByGatewayOnly(selector: Readonly<Record<string, string>>, gatewayNamespace: string) {
  return {
    podSelector: { matchLabels: selector },
    policyTypes: ['Ingress'],
    ingress: [
      {
        from: [
          {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': gatewayNamespace } },
            podSelector: { matchLabels: { 'app.kubernetes.io/name': 'mcp-gateway' } },
          },
        ],
        ports: [{ port: SERVER_PORT, protocol: 'TCP' }],
      },
    ],
  };
}

function claimTemplate({ size, storageClass }: NonNullable<BackendResource['spec']['storage']>) {
  return {
    metadata: { name: DATA_VOLUME },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
      volumeMode: 'Filesystem',
      ...(storageClass !== undefined && { storageClassName: storageClass }),
    },
  };
}
