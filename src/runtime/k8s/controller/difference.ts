// Does an object in the cluster say what is wanted? Fields that others have added do not count, nor how the API server writes a value.

import { createHash } from 'node:crypto';
import { parseQuantity } from '../../../config/quantity.ts';
import type { KubeObject } from '../objects.ts';

/** On every object that the controller makes: what it wanted when it wrote it last. Tells that a field is no longer wanted. */
export const WANTED_ANNOTATION = 'mcpgateway.dev/wanted';
const HASH_CHARS = 16;

/** With the mark by which `differs` sees later what it was made from. */
export function marked<T extends KubeObject>(object: T): T {
  const { metadata } = object;
  return { ...object, metadata: { ...metadata, annotations: { ...metadata.annotations, [WANTED_ANNOTATION]: digestOf(object) } } };
}

/** Tells apart what was made from different declarations. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, HASH_CHARS);
}

/** Whether `seen` has to be written again to say what `wanted`, a marked object, says. */
export function differs(wanted: KubeObject, seen: KubeObject): boolean {
  return !holds(wanted, seen);
}

/** Whether everything that `wanted` says is in `seen`. */
function holds(wanted: unknown, seen: unknown): boolean {
  if (isEmpty(wanted) && isEmpty(seen)) return true;
  if (Array.isArray(wanted)) return Array.isArray(seen) && listHolds(wanted, seen);
  if (typeof wanted === 'object' && wanted !== null) {
    if (typeof seen !== 'object' || seen === null || Array.isArray(seen)) return false;
    return Object.entries(wanted).every(([field, value]) => holds(value, (seen as Record<string, unknown>)[field]));
  }
  return wanted === seen || sameQuantity(wanted, seen);
}

/** What has a name is found by it: containers, variables, ports, volumes, of which others may have added some. */
function listHolds(wanted: readonly unknown[], seen: readonly unknown[]): boolean {
  if (wanted.length > 0 && wanted.every((each) => nameOf(each) !== undefined)) {
    const byName = new Map(seen.map((each) => [nameOf(each), each]));
    return wanted.every((each) => holds(each, byName.get(nameOf(each))));
  }
  return wanted.length === seen.length && wanted.every((each, at) => holds(each, seen[at]));
}

function nameOf(item: unknown): string | undefined {
  const name = (item as { readonly name?: unknown } | null | undefined)?.name;
  return typeof name === 'string' ? name : undefined;
}

/** The API server leaves out what is empty. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** `1000m` comes back as `1`. */
function sameQuantity(wanted: unknown, seen: unknown): boolean {
  if (typeof wanted !== 'string' || typeof seen !== 'string') return false;
  const amount = parseQuantity(wanted);
  return amount !== undefined && amount === parseQuantity(seen);
}
