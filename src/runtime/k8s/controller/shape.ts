// Makes the objects of one backend what they should be: asks whose they are, writes what differs, removes what is no longer wanted.

import type { BackendResource } from '../../../config/resources.ts';
import { type KubeObject, type KubeResource, keyOf } from '../objects.ts';
import { KubeError } from '../transport.ts';
import type { ClusterView } from './cluster-view.ts';
import { marked } from './difference.ts';
import { DEPLOYMENTS, OWNED_KINDS, STATEFUL_SETS, type Wanted } from './kinds.ts';
import type { Workload } from './observed.ts';
import { controllerOf, type Found, type OwnedObjects, type Owner } from './owned-objects.ts';
import type { DeletionCosts } from './pod-deletion-cost.ts';
import { runnerImageOf, sameTemplate } from './runner-image.ts';
import { keepClaims } from './storage.ts';
import type { Trouble } from './trouble.ts';
import { GOVERNING_SUFFIX, objectsOf, type WorkloadOptions, type WorkloadState } from './workload.ts';

/** Nobody tells when a foreign object is gone, or a quota larger. */
const LOOK_AGAIN_MS = 30_000;
/** Objects that are being deleted: a watch tells when they are gone; this is for the case that it does not. */
const LEAVING_MS = 5_000;

export interface Shaped {
  readonly workload: Workload | undefined;
  readonly former: Workload | undefined;
  readonly problem: Trouble | undefined;
  readonly againMs: number | undefined;
}

export interface ShapeOptions {
  readonly view: Pick<ClusterView, 'owned' | 'pods'>;
  readonly objects: OwnedObjects;
  readonly costs: DeletionCosts;
  readonly workload: WorkloadOptions;
}

export interface ShapeRequest {
  readonly resource: BackendResource;
  readonly owner: Owner;
  readonly replicas: number;
  readonly restart: string | undefined;
}

export interface Shaper {
  /** What the cluster refuses is in `problem`; rejects with what may be otherwise in a moment. */
  shape(request: ShapeRequest, signal: AbortSignal): Promise<Shaped>;
  /** The workloads of a backend whose declaration makes no sense: they are left as they are. */
  asTheyAre(owner: Owner): Pick<Shaped, 'workload' | 'former'>;
}

export function createShaper({ view, objects, costs, workload: options }: ShapeOptions): Shaper {
  const known = new WeakMap<BackendResource, { readonly key: string; readonly wanted: readonly Wanted[] }>();
  const keyFor = (name: string): string => `${options.namespace}/${name}`;

  /** Whatever this very backend owns. */
  const ownedBy = ({ name, uid }: Owner): { kind: KubeResource; object: KubeObject }[] =>
    OWNED_KINDS.flatMap((kind) =>
      [name, name + GOVERNING_SUFFIX].flatMap((each) => {
        const object = view.owned(kind, keyFor(each));
        return object && controllerOf(object)?.uid === uid ? [{ kind, object }] : [];
      }),
    );

  const write = async (wanted: readonly Wanted[], found: readonly Found[], { owner, replicas }: ShapeRequest, signal: AbortSignal) => {
    let workload: Workload | undefined;
    let kept: Trouble | undefined;
    for (const [at, each] of wanted.entries()) {
      const seen = found[at]?.object;
      const claims = each.kind === STATEFUL_SETS && seen ? keepClaims(each.object, seen) : undefined;
      kept ??= claims?.trouble;
      if (isWorkload(each) && replicas < ((seen as Workload | undefined)?.spec?.replicas ?? 0)) {
        await costs.update(view.pods(owner.name), signal, { urgent: true });
      }
      const result = await objects.put(claims ? { kind: each.kind, object: marked(claims.object) } : each, seen, signal);
      if (!result) throw new Error(`${each.kind.kind} ${each.object.metadata.name} has been made by somebody else just now`);
      if (isWorkload(each)) workload = result;
    }
    return { workload, kept };
  };

  /** What serves is removed last: when what replaces it is ready. */
  const removeRest = async (
    wanted: readonly Wanted[],
    { owner, replicas }: ShapeRequest,
    workload: Workload | undefined,
    signal: AbortSignal,
  ) => {
    const ids = new Set(wanted.map(({ kind, object }) => `${kind.plural}/${keyOf(object)}`));
    const rest = ownedBy(owner).filter(({ kind, object }) => !ids.has(`${kind.plural}/${keyOf(object)}`));
    const replaced = workload === undefined || replicas === 0 || isServing(workload, replicas);
    let former: Workload | undefined;
    for (const { kind, object } of rest) {
      const serves = isWorkload({ kind }) || object.metadata.name !== owner.name;
      if (serves && !replaced) {
        if (object.metadata.name === owner.name) former = object;
        continue;
      }
      if (object.metadata.deletionTimestamp === undefined) await objects.remove(kind, object, signal);
    }
    return former;
  };

  /** Marked. Kept for as long as nothing that they depend on changes: most looks at a backend change nothing. */
  const objectsFor = (resource: BackendResource, state: WorkloadState): readonly Wanted[] => {
    const key = JSON.stringify(state);
    const before = known.get(resource);
    if (before?.key === key) return before.wanted;
    const wanted = objectsOf(resource, state, options).map(({ kind, object }) => ({ kind, object: marked(object) }));
    known.set(resource, { key, wanted });
    return wanted;
  };

  /** With drain agents as they are where nothing else would replace their pods. */
  const wantedFor = ({ resource, owner, replicas, restart }: ShapeRequest): readonly Wanted[] => {
    const state = { uid: owner.uid, replicas, restart };
    const seen = view.owned(resource.spec.storage ? STATEFUL_SETS : DEPLOYMENTS, keyFor(resource.name));
    const runnerImage = runnerImageOf(seen);
    if (!seen || runnerImage === undefined || runnerImage === options.runnerImage) return objectsFor(resource, state);
    const kept = objectsFor(resource, { ...state, runnerImage });
    return kept.some((each) => isWorkload(each) && sameTemplate(each.object, seen)) ? kept : objectsFor(resource, state);
  };

  const asTheyAre: Shaper['asTheyAre'] = (owner) => {
    const workloads = ownedBy(owner).filter(isWorkload);
    return { workload: workloads[0]?.object, former: workloads[1]?.object };
  };

  return {
    asTheyAre,
    async shape(request, signal) {
      const { owner } = request;
      const wanted = wantedFor(request);
      try {
        const found = await Promise.all(wanted.map((each) => objects.find(each, owner, signal)));
        const foreign = found.findIndex(({ state }) => state === 'foreign');
        if (foreign >= 0) return { ...asTheyAre(owner), problem: nameTaken(wanted[foreign]), againMs: LOOK_AGAIN_MS };
        if (found.some(({ state }) => state === 'leaving')) return { ...asTheyAre(owner), problem: undefined, againMs: LEAVING_MS };
        const { workload, kept } = await write(wanted, found, request, signal);
        const former = await removeRest(wanted, request, workload, signal);
        return { workload, former, problem: kept, againMs: undefined };
      } catch (error) {
        const problem = refusal(error);
        if (!problem) throw error;
        return { ...asTheyAre(owner), problem, againMs: LOOK_AGAIN_MS };
      }
    },
  };
}

function isWorkload({ kind }: Pick<Wanted, 'kind'>): boolean {
  return kind === DEPLOYMENTS || kind === STATEFUL_SETS;
}

function isServing({ metadata, status }: Workload, replicas: number): boolean {
  const { observedGeneration = 0, readyReplicas = 0 } = status ?? {};
  return observedGeneration >= (metadata.generation ?? 0) && readyReplicas >= replicas;
}

function nameTaken(wanted: Wanted | undefined): Trouble {
  const { kind, object } = wanted ?? {};
  const what = `${kind?.kind} ${object?.metadata.name} in namespace ${object?.metadata.namespace}`;
  return { reason: 'NameTaken', message: `${what} exists and was not made for this backend: remove it, or give the backend another name` };
}

/** What will be refused again until somebody changes something. */
function refusal(error: unknown): Trouble | undefined {
  if (!(error instanceof KubeError)) return undefined;
  if (error.code === 422) return { reason: 'InvalidSpec', message: `the cluster does not take it: ${error.message}` };
  // What admission forbids. What the controller's own role does not allow may be allowed in a moment: an API server that has just started
  // does not know all roles yet.
  if (error.code !== 403 || / is forbidden: User "/.test(error.message)) return undefined;
  return error.message.includes('exceeded quota')
    ? { reason: 'QuotaExceeded', message: `the namespace's quota is used up: ${error.message}` }
    : { reason: 'Forbidden', message: `the cluster forbids it: ${error.message}` };
}
