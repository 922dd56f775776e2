// One look at one backend or tenant: from its declaration and what runs to what should run, and to what its status says.

import type { BackendResource } from '../../../config/resources.ts';
import type { KubeApi } from '../api.ts';
import { backendOf, tenantOf } from '../declared.ts';
import { instanceIdOf } from '../instances.ts';
import { type KubeObject, type KubeResource, MCP_BACKENDS, MCP_TENANTS } from '../objects.ts';
import { KubeError } from '../transport.ts';
import type { ClusterView } from './cluster-view.ts';
import { type BackendStatus, statusOf, tenantStatusOf } from './conditions.ts';
import { type EventWriter, eventsBetween } from './events.ts';
import { FIELD_MANAGER } from './kinds.ts';
import { whyNotHere } from './pod-template.ts';
import type { Shaped, Shaper } from './shape.ts';

/** On an MCPBackend: its pods are replaced when it changes. */
export const RESTART_ANNOTATION = 'mcpgateway.dev/restart';
/** Session counts change all the time: a status that differs in nothing else is written no more often. */
const SESSIONS_MS = 15_000;
const MAX_REPLICAS = 1_000;

/** What others decide or know. */
export interface ControllerHooks {
  /** How many pods there shall be now. `object`: the MCPBackend with its annotations, `running`: pods that run or start. */
  readonly replicasWanted: (backend: BackendResource, seen: { readonly object: KubeObject; readonly running: number }) => number;
  /** How many sessions these instances have together, as the gateways said last. */
  readonly sessionsOn: (instances: readonly string[]) => number;
  /** Where clients reach a backend. */
  readonly urlOf?: (backend: string) => string | undefined;
}

export interface ReconcilerOptions {
  readonly api: Pick<KubeApi, 'apply'>;
  readonly view: Pick<ClusterView, 'backends' | 'tenants' | 'pods'>;
  readonly namespace: string;
  readonly shaper: Shaper;
  readonly hooks: ControllerHooks;
  readonly events: EventWriter;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

export interface Reconciler {
  /** Resolves with the time after which to look again although nothing has changed. */
  backend(name: string, signal: AbortSignal): Promise<number | undefined>;
  tenant(name: string, signal: AbortSignal): Promise<void>;
}

export function createReconciler({ api, view, namespace, shaper, hooks, events, now = Date.now }: ReconcilerOptions): Reconciler {
  /** The same object makes the same sense again. */
  const parsed = new WeakMap<KubeObject, BackendResource | string>();
  /** The watch may not have brought them yet: times of conditions go on from here. */
  const written = new Map<string, { readonly uid: string; readonly status: BackendStatus; readonly at: number }>();

  /** False: the object is gone. */
  const writeStatus = async (kind: KubeResource, { metadata }: KubeObject, status: unknown, signal: AbortSignal): Promise<boolean> => {
    const { name, uid } = metadata;
    const object = { metadata: { name, namespace, ...(uid !== undefined && { uid }) }, status };
    try {
      await api.apply(kind, object, { fieldManager: FIELD_MANAGER, force: true, subresource: 'status' }, signal);
      return true;
    } catch (error) {
      if (error instanceof KubeError && (error.code === 404 || error.code === 409)) return false;
      throw error;
    }
  };

  const report = async (object: KubeObject, status: BackendStatus, signal: AbortSignal): Promise<number | undefined> => {
    const { name, uid = '' } = object.metadata;
    const known = written.get(name);
    const last = known?.uid === uid ? known : undefined;
    const before = last?.status ?? (object['status'] as Partial<BackendStatus> | undefined);
    if (sameStatus(before, status)) return undefined;
    if (last && sameStatus({ ...last.status, sessions: status.sessions }, status)) {
      const left = last.at + SESSIONS_MS - now();
      if (left > 0) return left;
    }
    if (!(await writeStatus(MCP_BACKENDS, object, status, signal))) return undefined;
    written.set(name, { uid, status, at: now() });
    await events.write(object, eventsBetween(before, status), signal);
    return undefined;
  };

  const shaped = async (
    object: KubeObject,
    resource: BackendResource | undefined,
    refused: string,
    wanted: number,
    signal: AbortSignal,
  ) => {
    const owner = { name: object.metadata.name, uid: object.metadata.uid ?? '' };
    if (resource) {
      const restart = object.metadata.annotations?.[RESTART_ANNOTATION];
      return shaper.shape({ resource, owner, replicas: wanted, restart }, signal);
    }
    const problem = { reason: 'InvalidSpec', message: refused } as const;
    return { ...shaper.asTheyAre(owner), problem, againMs: undefined } satisfies Shaped;
  };

  return {
    async backend(name, signal) {
      const object = view.backends.get(`${namespace}/${name}`);
      // What it owned goes with it: the cluster's garbage collector sees to that.
      if (!object || object.metadata.deletionTimestamp !== undefined) {
        written.delete(name);
        return undefined;
      }
      const read = parsed.get(object) ?? backendOf(object);
      parsed.set(object, read);
      const refused = typeof read === 'string' ? read : whyNotHere(read);
      const resource = typeof read === 'string' || refused !== undefined ? undefined : read;
      const pods = view.pods(name);
      const running = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined).length;
      const wanted = resource?.spec.image ? bounded(hooks.replicasWanted(resource, { object, running })) : 0;
      const { workload, former, problem, againMs } = await shaped(object, resource, refused ?? '', wanted, signal);
      const verdict = statusOf(
        {
          ...{ name, generation: object.metadata.generation ?? 0, spec: resource?.spec, wanted, workload, former, pods, problem },
          sessions: hooks.sessionsOn(pods.map(instanceIdOf)),
          url: hooks.urlOf?.(name),
        },
        (written.get(name)?.uid === object.metadata.uid ? written.get(name)?.status : undefined) ??
          (object['status'] as Partial<BackendStatus> | undefined),
        now(),
      );
      const later = await report(object, verdict.status, signal);
      return earliest([againMs, verdict.againMs, later]);
    },
    async tenant(name, signal) {
      const object = view.tenants.get(`${namespace}/${name}`);
      if (!object || object.metadata.deletionTimestamp !== undefined) return;
      const read = tenantOf(object);
      const before = object['status'] as Parameters<typeof tenantStatusOf>[2];
      const status = tenantStatusOf(typeof read === 'string' ? read : undefined, object.metadata.generation ?? 0, before, now());
      if (!sameStatus(before, status)) await writeStatus(MCP_TENANTS, object, status, signal);
    },
  };
}

/** Whatever a hook says. */
function bounded(replicas: number): number {
  return Number.isFinite(replicas) ? Math.min(MAX_REPLICAS, Math.max(0, Math.floor(replicas))) : 0;
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const given = times.filter((time) => time !== undefined);
  return given.length === 0 ? undefined : Math.min(...given);
}

/** In any order of fields: the API server has its own. */
function sameStatus(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  );
}
