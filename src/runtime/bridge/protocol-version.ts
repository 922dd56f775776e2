// Which values of MCP-Protocol-Version the bridge takes: those of the legacy era, in which sessions exist.

import type { Refusal } from './answers.ts';

/** What the bridge tells clients that ask for something else; the server process has the last word in `initialize`. */
const SUPPORTED = ['2025-11-25', '2025-06-18', '2025-03-26'] as const;
/** Older clients send these after negotiating them; the reference server takes them too. */
const TOLERATED = new Set<string>([...SUPPORTED, '2024-11-05', '2024-10-07']);
const DATE = /^\d{4}-\d{2}-\d{2}$/;

/**
 * Nothing when the version is fine or absent. A newer version – 2026-07-28 and later have no sessions, and a stdio server behind this
 * bridge needs one – gets the code of that era, −32022 with the list of what works, at which clients fall back to `initialize`.
 */
export function refuseVersion(version: string | undefined, id: string | undefined): Refusal | undefined {
  if (version === undefined || TOLERATED.has(version)) {
    return undefined;
  }
  if (DATE.test(version) && version > SUPPORTED[0]) {
    const data = JSON.stringify({ supported: SUPPORTED, requested: version });
    return { status: 400, code: -32022, message: `Unsupported protocol version: ${version}`, id, data };
  }
  const shown = version.slice(0, 64);
  const message = `Bad Request: Unsupported protocol version: ${shown} (supported versions: ${[...TOLERATED].join(', ')})`;
  return { status: 400, code: -32000, message, id };
}
