// Reads the keys of an issuer over HTTP: where they are, then the keys themselves.

import type { IssuerSpec } from '../config/issuer-spec.ts';
import { fetchJson } from './json-fetch.ts';
import { type KeySet, readKeySet } from './key-set.ts';
import { findJwksUri } from './metadata.ts';

/** Providers move their keys to another URL rarely, and keep the old one for long. */
const METADATA_MAX_AGE_MS = 3_600_000;

export interface KeyLoaderOptions {
  readonly spec: IssuerSpec;
  readonly fetch: typeof fetch;
  readonly now: () => number;
}

/** @returns a function that rejects with an Error which says which document cannot be used, and why. */
export function createKeyLoader({ spec, fetch, now }: KeyLoaderOptions): (signal: AbortSignal) => Promise<KeySet> {
  let found: { readonly uri: string; readonly at: number } | undefined;

  return async (signal) => {
    const readJson = (url: string): Promise<unknown> => fetchJson(url, { fetch, signal });
    const readKeys = async (uri: string): Promise<KeySet> => {
      const document = await readJson(uri);
      try {
        return readKeySet(document);
      } catch (error) {
        throw new Error(`${uri}: ${(error as Error).message}`, { cause: error });
      }
    };
    if (spec.jwksUri !== undefined) return readKeys(spec.jwksUri);
    if (found === undefined || Math.abs(now() - found.at) >= METADATA_MAX_AGE_MS) {
      found = { uri: await findJwksUri({ issuer: spec.issuer, discoveryUrl: spec.discoveryUrl, readJson }), at: now() };
    }
    try {
      return await readKeys(found.uri);
    } catch (error) {
      // They may have moved.
      found = undefined;
      throw error;
    }
  };
}
