// From EndpointSlices and pods to the instances of a backend: which processes answer, where, and what they may be sent.

import { isIPv6 } from 'node:net';
import type { InstanceId } from '../../core/ids.ts';
import type { Instance, InstanceState } from '../../directory/snapshot.ts';
import type { KubeObject, OwnerReference } from './objects.ts';

/** On the objects of a backend: its name. */
export const BACKEND_LABEL = 'mcpgateway.dev/backend';
/** On an EndpointSlice: the Service that it belongs to. */
export const SERVICE_LABEL = 'kubernetes.io/service-name';
/** On a pod that has to go, RFC 3339: since then it gets no calls any more, so that it can end when those under way have. */
export const RELEASED_ANNOTATION = 'mcpgateway.dev/released';
/** The container that is the MCP server, and its port. */
export const SERVER_CONTAINER = 'server';
export const SERVER_PORT = 'mcp';

/**
 * So long before a pod is ended by force its sessions are opened again elsewhere, each between two of its calls, so that no call is cut: what is
 * in its memory is lost either way.
 */
const MOVE_MS = 30_000;

/** discovery.k8s.io/v1, as far as it matters here. Lists with nothing in them are `null` where no pod is ready to have any. */
export interface EndpointSlice extends KubeObject {
  readonly addressType?: string;
  readonly endpoints?: readonly Endpoint[] | null;
  readonly ports?: readonly { readonly name?: string; readonly port?: number }[] | null;
}

interface Endpoint {
  readonly addresses?: readonly string[];
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly targetRef?: { readonly kind?: string; readonly namespace?: string; readonly name?: string; readonly uid?: string };
}

/** v1 Pod, as far as it matters here. */
export interface Pod extends KubeObject {
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip?: string }[];
    readonly containerStatuses?: readonly { readonly name: string; readonly restartCount?: number }[];
  };
}

export interface Found {
  readonly instances: readonly Instance[];
  /** When to look again although nothing has changed, milliseconds since 1970. */
  readonly againAt: number | undefined;
}

/**
 * A restarted container is another instance: its sessions are gone. `slices` are those of the backend's Service, `podOf` finds a pod of the
 * backend's namespace by name. An endpoint is believed only when its pod is the backend's own: whoever may write EndpointSlices could
 * otherwise send sessions, with the identity of their callers, anywhere. `movable`: its sessions can be opened again elsewhere.
 */
export function instancesOf(
  { name: backend, movable }: { readonly name: string; readonly movable: boolean },
  slices: readonly EndpointSlice[],
  podOf: (name: string) => Pod | undefined,
  now: number,
): Found {
  const found = new Map<InstanceId, Instance>();
  const moves = new Map<InstanceId, number>();
  for (const { endpoints, ports, metadata } of slices) {
    const port = ports?.find(({ name }) => name === SERVER_PORT)?.port;
    if (port === undefined) continue;
    for (const { addresses = [], conditions = {}, targetRef } of endpoints ?? []) {
      const [ip] = addresses;
      if (ip === undefined || targetRef?.kind !== 'Pod' || targetRef.namespace !== metadata.namespace) continue;
      const pod = podOf(targetRef.name ?? '');
      if (!pod || pod.metadata.uid !== targetRef.uid || !isOwn(pod, backend) || !hasAddress(pod, ip)) continue;
      const id = instanceIdOf(pod);
      const moved = movedAt(pod);
      if (isReleased(pod)) moves.set(id, 0);
      else if (moved !== undefined && movable) moves.set(id, moved);
      const instance = { id, address: `${isIPv6(ip) ? `[${ip}]` : ip}:${port}`, state: stateOf(conditions, pod) };
      // A dual-stack Service has a slice for each family: the first one seen counts, unless the other one is ready and it is not.
      const other = found.get(id);
      if (!other || (other.state !== 'ready' && instance.state === 'ready')) found.set(id, instance);
    }
  }
  const all = [...found.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  // Where there is nowhere to go, a session stays to the end.
  const elsewhere = all.some(({ state }) => state === 'ready');
  const instances = elsewhere ? all.filter(({ id }) => (moves.get(id) ?? Number.POSITIVE_INFINITY) > now) : all;
  const later = [...moves.values()].filter((at) => at > now);
  return { instances, againAt: later.length === 0 ? undefined : Math.min(...later) };
}

/** A pod's UID and how often its server has been restarted. */
export function instanceIdOf({ metadata, status }: Pod): InstanceId {
  const restarts = status?.containerStatuses?.find(({ name }) => name === SERVER_CONTAINER)?.restartCount ?? 0;
  return `${metadata.uid}.${restarts}` as InstanceId;
}

/** Whether the controller lets a pod end as soon as nothing is under way there. */
export function isReleased({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp !== undefined && metadata.annotations?.[RELEASED_ANNOTATION] !== undefined;
}

/** When the sessions of a pod that has to go are moved, milliseconds since 1970; undefined: it stays. `deletionTimestamp` is the end of its grace. */
function movedAt({ metadata }: Pod): number | undefined {
  return metadata.deletionTimestamp === undefined ? undefined : Date.parse(metadata.deletionTimestamp) - MOVE_MS;
}

/** The condition of a pod that has to go comes before its readiness: it keeps what it has, and gets nothing new. */
function stateOf({ ready = false, terminating = false }: NonNullable<Endpoint['conditions']>, pod: Pod): InstanceState {
  if (terminating || pod.metadata.deletionTimestamp !== undefined) return 'draining';
  return ready ? 'ready' : 'starting';
}

/** Its workload is the backend's: a ReplicaSet of the Deployment of that name, or the StatefulSet itself. */
function isOwn({ metadata }: Pod, backend: string): boolean {
  if (metadata.labels?.[BACKEND_LABEL] !== backend) return false;
  const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
  return owner !== undefined && isWorkload(owner, backend);
}

function isWorkload({ apiVersion, kind, name }: OwnerReference, backend: string): boolean {
  if (apiVersion !== 'apps/v1') return false;
  if (kind === 'StatefulSet') return name === backend;
  // The hash of a template has no dash.
  return kind === 'ReplicaSet' && name.startsWith(`${backend}-`) && !name.slice(backend.length + 1).includes('-');
}

function hasAddress({ status }: Pod, ip: string): boolean {
  return status?.podIP === ip || (status?.podIPs ?? []).some((each) => each.ip === ip);
}
