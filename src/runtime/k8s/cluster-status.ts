// How backends do in the cluster, in the words in which the local runtime tells it.

import type { BackendStatus } from '../local/backend.ts';
import type { InstanceStatus } from '../local/replica.ts';
import { type BackendPod, isReady } from './controller/observed.ts';
import { instanceIdOf, type Pod, SERVER_CONTAINER } from './instances.ts';
import type { KubeObject } from './objects.ts';

interface Written {
  readonly replicas?: number;
  readonly readyReplicas?: number;
  readonly updatedReplicas?: number;
  readonly message?: string;
  readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason: string; readonly message: string }[];
}

/** `object`: the MCPBackend, with what the controller has written about it. `log` of an instance is the name of its pod. */
export function clusterStatusOf(object: KubeObject, pods: readonly BackendPod[]): BackendStatus {
  const { image, replicas = 1 } = (object['spec'] ?? {}) as { readonly image?: string; readonly replicas?: number };
  const status = (object['status'] ?? {}) as Written;
  const asleep = status.conditions?.some(({ reason }) => reason === 'ScaledToZero') ?? false;
  const degraded = status.conditions?.find(({ type }) => type === 'Degraded');
  const trouble = degraded?.status === 'True' ? `${degraded.reason}: ${degraded.message}` : undefined;
  const desired = asleep ? 0 : Math.max(replicas, status.replicas ?? 0);
  const { readyReplicas: ready = 0, updatedReplicas = 0 } = status;
  return {
    ...{ name: object.metadata.name, image: image ?? '', desired, ready },
    updated: Math.min(updatedReplicas, ready),
    instances: pods.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)).map((pod) => instanceOf(pod, trouble)),
    // Fewer than declared, or more while pods are replaced, is no trouble by itself.
    message: trouble ?? (ready >= desired ? '' : (status.message ?? 'not looked at yet')),
  };
}

function instanceOf(pod: BackendPod, trouble: string | undefined): InstanceStatus {
  const { metadata, status } = pod;
  const server = status?.containerStatuses?.find(({ name }) => name === SERVER_CONTAINER);
  const ready = isReady(pod);
  const changed = status?.conditions?.find(({ type }) => type === 'Ready')?.lastTransitionTime ?? metadata.creationTimestamp;
  const waiting = server?.state?.waiting?.reason ?? server?.lastState?.terminated?.reason;
  return {
    id: instanceIdOf(pod as Pod),
    pid: undefined,
    address: (pod as Pod).status?.podIP,
    state:
      metadata.deletionTimestamp !== undefined ? 'draining' : ready ? 'ready' : (server?.restartCount ?? 0) > 0 ? 'restarting' : 'starting',
    restarts: server?.restartCount ?? 0,
    since: changed === undefined ? 0 : Date.parse(changed),
    lastError: ready ? undefined : trouble && (waiting ?? trouble),
    log: metadata.name,
  };
}
