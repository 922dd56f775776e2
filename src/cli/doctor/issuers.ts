// Whether the metadata and keys of an issuer can be read from here, as the gateway reads them.

import type { IssuerSpec } from '../../config/issuer-spec.ts';
import { createKeyLoader } from '../../identity/key-loader.ts';
import type { KeySet } from '../../identity/key-set.ts';
import { DifferentIssuer } from '../../identity/metadata.ts';
import { type Finding, failure, ok } from './finding.ts';
import { explainIss } from './iss.ts';

/** The keys of an issuer, read once however many ask for them. */
export type ReadKeys = (spec: IssuerSpec, signal: AbortSignal) => Promise<KeySet>;

export function createReadKeys(request: typeof fetch): ReadKeys {
  const known = new Map<IssuerSpec, Promise<KeySet>>();
  return (spec, signal) => {
    const keys = known.get(spec) ?? createKeyLoader({ spec, fetch: request, now: Date.now })(signal);
    known.set(spec, keys);
    return keys;
  };
}

/** @throws the signal's reason. */
export async function checkIssuer(spec: IssuerSpec, readKeys: ReadKeys, signal: AbortSignal): Promise<Finding> {
  const title = ['issuer', spec.issuer] as const;
  try {
    const { ids, ignored } = await readKeys(spec, signal);
    const others = ignored === 0 ? '' : `, ${ignored} of no use`;
    return ok(title, `${ids.size} ${ids.size === 1 ? 'key' : 'keys'}${others}`);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof DifferentIssuer) {
      const { message, advice } = explainIss(error.found, [spec.issuer]);
      return failure(title, `the issuer in its discovery document ${message}`, advice);
    }
    const { message } = error as Error;
    return failure(title, message, adviceFor(message));
  }
}

function adviceFor(message: string): string {
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|certificate/.test(message)) return 'name the CA of its certificate with NODE_EXTRA_CA_CERTS';
  if (/status (404|410)/.test(message)) return 'correct the URL, or say where its documents are with discoveryUrl or jwksUri';
  return 'see that this machine reaches these URLs, and that they are right: issuer, discoveryUrl, jwksUri';
}
