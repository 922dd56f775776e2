// What a use case fails with when the state that all gateways share cannot be reached.

import { within } from '../core/within.ts';

/** Far above what a store takes that is there. */
const STORE_TIMEOUT_MS = 5_000;

/** Whether a change has been made is not known then. */
export class StoreUnavailable extends Error {
  readonly code = 'STORE_UNAVAILABLE';

  constructor(cause: unknown) {
    super('the store of sessions does not answer', { cause });
  }
}

/** @throws StoreUnavailable when the store refuses, or does not answer in time */
export async function askStore<T>(asked: Promise<T>): Promise<T> {
  try {
    return await within(asked, STORE_TIMEOUT_MS);
  } catch (error) {
    throw new StoreUnavailable(error);
  }
}
