// How much memory a session record takes, about: what the store in memory is bounded by.

import type { SessionRecord } from './store.ts';

/** The record itself, its short texts and numbers, its places in maps: about what is measured. */
const FIXED_BYTES = 512;
/** A text is an object of its own. */
const TEXT_BYTES = 32;

/** A character counts as one byte; a text that is not Latin-1 takes up to twice as much. */
export function sizeOf({ initialize, level, subscriptions, issuer, subject, binding }: SessionRecord): number {
  let size = FIXED_BYTES + initialize.length + (level?.length ?? 0) + issuer.length + subject.length + binding.upstreamId.length;
  for (const uri of subscriptions) size += TEXT_BYTES + uri.length;
  return size;
}
