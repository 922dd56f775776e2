// Volumes of a StatefulSet cannot be changed once it exists: what is there is kept, and its owner is told.

import { parseQuantity } from '../../../config/quantity.ts';
import type { KubeObject } from '../objects.ts';
import type { Trouble } from './trouble.ts';

interface Claim extends KubeObject {
  readonly spec?: {
    readonly storageClassName?: string;
    readonly resources?: { readonly requests?: { readonly storage?: string } };
  };
}

interface WithClaims extends KubeObject {
  readonly spec?: { readonly volumeClaimTemplates?: readonly Claim[] };
}

/** `wanted` with the claims of `seen`, and what to say about it when they differ. */
export function keepClaims(wanted: KubeObject, seen: KubeObject): { readonly object: KubeObject; readonly trouble: Trouble } | undefined {
  const asked = claimOf(wanted);
  const have = claimOf(seen);
  if (!asked || !have) return undefined;
  const [askedSize, size] = [sizeOf(asked), sizeOf(have)];
  const sameSize = parseQuantity(askedSize) === parseQuantity(size);
  if (sameSize && asked.spec?.storageClassName === have.spec?.storageClassName) return undefined;
  const { spec } = wanted as WithClaims;
  const kept = { ...asked, spec: { ...asked.spec, resources: { requests: { storage: size } } } };
  const { storageClassName: _, ...plain } = kept.spec;
  const storageClassName = have.spec?.storageClassName;
  const claim = { ...kept, spec: { ...plain, ...(storageClassName !== undefined && { storageClassName }) } };
  const how = `${size}${storageClassName === undefined ? '' : `, ${storageClassName}`}`;
  return {
    object: { ...wanted, spec: { ...spec, volumeClaimTemplates: [claim] } },
    trouble: {
      reason: 'StorageKept',
      message: `size and storageClass of spec.storage cannot be changed (it stays ${how}): enlarge the PersistentVolumeClaims, or delete the backend and create it again`,
    },
  };
}

function claimOf(object: KubeObject): Claim | undefined {
  return (object as WithClaims).spec?.volumeClaimTemplates?.[0];
}

function sizeOf({ spec }: Claim): string {
  return spec?.resources?.requests?.storage ?? '';
}
