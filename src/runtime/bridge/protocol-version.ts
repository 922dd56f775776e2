// Which values of MCP-Protocol-Version the bridge takes: those of the legacy era, in which sessions exist.

import type { Refusal } from './answers.ts';

/** The server process has the last word in `initialize`. */
const SUPPORTED = ['2025-11-25', '2025-06-18', '2025-03-26'] as const;
/** Older clients send these after negotiating them; the reference server takes them too. */
const TOLERATED = new Set<string>([...SUPPORTED, '2024-11-05', '2024-10-07']);

/**
 * Nothing when the version is fine or absent. Otherwise the words of the reference server, at which all clients fall back to
 * `initialize`; at the code of the modern era (−32022) some do not.
 */
export function refuseVersion(version: string | undefined, id: string | undefined): Refusal | undefined {
  if (version === undefined || TOLERATED.has(version)) {
    return undefined;
  }
  const shown = version.slice(0, 64);
  const message = `Bad Request: Unsupported protocol version: ${shown} (supported versions: ${[...TOLERATED].join(', ')})`;
  return { status: 400, code: -32000, message, id };
}
