// The objects of backends, read and written: only what a backend owns is ever changed, and only when it has to be.

import type { KubeApi } from '../api.ts';
import { type KubeObject, type KubeResource, keyOf, MCP_BACKENDS, type OwnerReference } from '../objects.ts';
import { KubeError } from '../transport.ts';
import { differs, WANTED_ANNOTATION } from './difference.ts';
import { FIELD_MANAGER, type Wanted } from './kinds.ts';

/** What was written is believed for so long although no watch has brought it yet. */
const WRITTEN_MS = 10_000;
/** Objects that come back otherwise than they were written (a webhook?) are remembered, so that nobody writes them for ever. */
const MAX_STUBBORN = 10_000;

/** Who owns what: an MCPBackend by its name and UID. */
export interface Owner {
  readonly name: string;
  readonly uid: string;
}

/** `own`: undefined when there is none yet. `leaving`: it is being deleted, or belongs to a backend of that name that is gone. */
export type Found =
  | { readonly state: 'own'; readonly object: KubeObject | undefined }
  | { readonly state: 'leaving' | 'foreign'; readonly object: KubeObject };

export interface OwnedObjects {
  find(wanted: Wanted, owner: Owner, signal: AbortSignal): Promise<Found>;
  /**
   * The object as it is afterwards; undefined: somebody else has made one of that name meanwhile. Made with `create`, which never takes over
   * what is there, then changed with server-side apply. `wanted` is marked.
   */
  put(wanted: Wanted, found: KubeObject | undefined, signal: AbortSignal): Promise<KubeObject | undefined>;
  remove(kind: KubeResource, object: KubeObject, signal: AbortSignal): Promise<void>;
  /** What a watch has said about an object counts from then on. */
  seen(kind: KubeResource, key: string): void;
}

export interface OwnedObjectsOptions {
  readonly api: Pick<KubeApi, 'get' | 'create' | 'apply' | 'patch' | 'delete'>;
  /** From the watched copies, which hold objects with the controller's label only. `key`: `namespace/name`. */
  readonly cached: (kind: KubeResource, key: string) => KubeObject | undefined;
}

export function createOwnedObjects({ api, cached }: OwnedObjectsOptions): OwnedObjects {
  const written = new Map<string, { readonly object: KubeObject; readonly at: number }>();
  const stubborn = new Set<string>();
  const idOf = (kind: KubeResource, key: string): string => `${kind.plural}/${key}`;

  const recent = (id: string): KubeObject | undefined => {
    const known = written.get(id);
    if (known && performance.now() - known.at < WRITTEN_MS) return known.object;
    written.delete(id);
    return undefined;
  };

  const wrote = (kind: KubeResource, key: string, wanted: KubeObject, object: KubeObject): void => {
    written.set(idOf(kind, key), { object, at: performance.now() });
    if (!differs(wanted, object)) return;
    if (stubborn.size >= MAX_STUBBORN) stubborn.clear();
    stubborn.add(stubbornKey(wanted, object));
  };

  /** Undefined: somebody else has made one of that name since we looked. */
  const make = async ({ kind }: Wanted, object: KubeObject, signal: AbortSignal): Promise<KubeObject | undefined> => {
    try {
      return await api.create(kind, object, signal);
    } catch (error) {
      if (error instanceof KubeError && error.code === 409) return undefined;
      throw error;
    }
  };

  /** An object that was created, not applied, would keep fields that are no longer wanted: they become those of server-side apply. */
  const change = async ({ kind }: Wanted, object: KubeObject, found: KubeObject, signal: AbortSignal): Promise<KubeObject> => {
    const { name, namespace, uid, resourceVersion } = found.metadata;
    const managedFields = appliedFields(found);
    if (managedFields) await api.patch(kind, name, namespace, { metadata: { uid, resourceVersion, managedFields } }, signal);
    // With its UID: should it be gone by now, nothing is made in its place.
    const named = { ...object, metadata: { ...object.metadata, ...(uid !== undefined && { uid }) } };
    return api.apply(kind, named, { fieldManager: FIELD_MANAGER, force: true }, signal);
  };

  return {
    async find({ kind, object: wanted }, owner, signal) {
      const { name, namespace } = wanted.metadata;
      const key = keyOf(wanted);
      const object = recent(idOf(kind, key)) ?? cached(kind, key) ?? (await api.get(kind, name, namespace, signal));
      if (!object) return { state: 'own', object };
      const controller = controllerOf(object);
      if (!isBackend(controller) || controller.name !== owner.name) return { state: 'foreign', object };
      const leaving = controller.uid !== owner.uid || object.metadata.deletionTimestamp !== undefined;
      return { state: leaving ? 'leaving' : 'own', object };
    },
    async put(wanted, found, signal) {
      const { object } = wanted;
      if (found && (!differs(object, found) || stubborn.has(stubbornKey(object, found)))) return found;
      const result = found ? await change(wanted, object, found, signal) : await make(wanted, object, signal);
      if (result) wrote(wanted.kind, keyOf(object), object, result);
      return result;
    },
    async remove(kind, { metadata }, signal) {
      written.delete(idOf(kind, keyOf({ metadata })));
      await api.delete(kind, metadata.name, metadata.namespace, { uid: metadata.uid, propagation: 'Background' }, signal);
    },
    seen: (kind, key) => written.delete(idOf(kind, key)),
  };
}

function isBackend(owner: OwnerReference | undefined): owner is OwnerReference {
  return owner?.kind === MCP_BACKENDS.kind && owner.apiVersion.startsWith(`${MCP_BACKENDS.group}/`);
}

export function controllerOf({ metadata }: KubeObject): OwnerReference | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller === true);
}

interface ManagedFields {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly fieldsV1?: { readonly 'f:metadata'?: { readonly 'f:annotations'?: Readonly<Record<string, unknown>> } };
}

/** Who manages which fields, with what the controller has created as what it has applied; undefined when it already is. */
function appliedFields({ metadata }: KubeObject): readonly ManagedFields[] | undefined {
  const { managedFields = [] } = metadata as { readonly managedFields?: readonly ManagedFields[] };
  const isOwn = ({ operation, subresource, fieldsV1 }: ManagedFields): boolean =>
    operation === 'Update' &&
    subresource === undefined &&
    fieldsV1?.['f:metadata']?.['f:annotations']?.[`f:${WANTED_ANNOTATION}`] !== undefined;
  if (!managedFields.some(isOwn)) return undefined;
  return managedFields.map((each) => (isOwn(each) ? { ...each, manager: FIELD_MANAGER, operation: 'Apply' } : each));
}

/** The same for as long as neither what is wanted nor the object itself (but for its status, where it has a generation) changes. */
function stubbornKey(wanted: KubeObject, { metadata }: KubeObject): string {
  return JSON.stringify([wanted.metadata.annotations, metadata.uid, metadata.generation ?? metadata.resourceVersion]);
}
