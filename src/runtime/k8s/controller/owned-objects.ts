// The objects of backends, read and written: only what a backend owns is ever changed, and only when it has to be.

import type { KubeApi } from '../api.ts';
import { type KubeObject, type KubeResource, keyOf, MCP_BACKENDS, type OwnerReference } from '../objects.ts';
import { KubeError } from '../transport.ts';
import { differs, marked } from './difference.ts';
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
  /** The object as it is afterwards; undefined: somebody else has made one of that name meanwhile, and it was left alone. */
  put(wanted: Wanted, found: KubeObject | undefined, signal: AbortSignal): Promise<KubeObject | undefined>;
  remove(kind: KubeResource, object: KubeObject, signal: AbortSignal): Promise<void>;
  /** What a watch has said about an object counts from then on. */
  seen(kind: KubeResource, key: string): void;
}

export interface OwnedObjectsOptions {
  readonly api: Pick<KubeApi, 'get' | 'apply' | 'delete'>;
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

  /**
   * Makes the object without force: fields of an object that somebody has made since we looked are not overwritten (409), and where nothing
   * of it was in the way, applying nothing takes back all that was added to it.
   */
  const make = async ({ kind }: Wanted, object: KubeObject, signal: AbortSignal): Promise<KubeObject | undefined> => {
    try {
      const made = await api.apply(kind, object, { fieldManager: FIELD_MANAGER, force: false }, signal);
      if (managersOf(made).every((manager) => manager === FIELD_MANAGER)) return made;
    } catch (error) {
      if (error instanceof KubeError && error.code === 409) return undefined;
      throw error;
    }
    const { name, namespace } = object.metadata;
    const nothing: KubeObject = { metadata: { name, ...(namespace !== undefined && { namespace }) } };
    await api.apply(kind, nothing, { fieldManager: FIELD_MANAGER, force: true }, signal);
    return undefined;
  };

  return {
    async find({ kind, object: wanted }, owner, signal) {
      const { name, namespace } = wanted.metadata;
      const key = keyOf(wanted);
      const object = recent(idOf(kind, key)) ?? cached(kind, key) ?? (await api.get(kind, name, namespace, signal));
      if (!object) return { state: 'own', object };
      const controller = controllerOf(object);
      if (controller?.kind !== MCP_BACKENDS.kind || controller.name !== owner.name) return { state: 'foreign', object };
      const leaving = controller.uid !== owner.uid || object.metadata.deletionTimestamp !== undefined;
      return { state: leaving ? 'leaving' : 'own', object };
    },
    async put(wanted, found, signal) {
      const object = marked(wanted.object);
      if (found && (!differs(object, found) || stubborn.has(stubbornKey(object, found)))) return found;
      const { uid } = found?.metadata ?? {};
      // With its UID: should it be gone by now, nothing is made in its place.
      const result = found
        ? await api.apply(
            wanted.kind,
            { ...object, metadata: { ...object.metadata, ...(uid !== undefined && { uid }) } },
            { fieldManager: FIELD_MANAGER, force: true },
            signal,
          )
        : await make(wanted, object, signal);
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

export function controllerOf({ metadata }: KubeObject): OwnerReference | undefined {
  return metadata.ownerReferences?.find(({ controller }) => controller === true);
}

function managersOf({ metadata }: KubeObject): readonly string[] {
  const { managedFields = [] } = metadata as { readonly managedFields?: readonly { readonly manager?: string }[] };
  return managedFields.map(({ manager = '' }) => manager);
}

/** The same for as long as neither what is wanted nor the object itself (but for its status, where it has a generation) changes. */
function stubbornKey(wanted: KubeObject, { metadata }: KubeObject): string {
  return JSON.stringify([wanted.metadata.annotations, metadata.uid, metadata.generation ?? metadata.resourceVersion]);
}
