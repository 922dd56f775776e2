// Whether an Envoy that is not ours removes the internal headers of its clients: shown anew with every request.

import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Logger } from 'pino';
import type { WireCheckRequest } from './check-request.ts';

/** Set by that Envoy's own header mutations, after they have removed everything internal. */
const MARK = 'x-mcp-edge';
/** Set by them before: what still carries it was not stripped. */
const CANARY = 'x-mcp-canary';
/** Ticket B, which only our own answer to a retry can have put there: early mutations do not run on a request that Envoy redirects itself. */
const REBOUND = 'x-mcp-rebound';
const MIN_SECRET_CHARS = 32;
const POLL_MS = 10_000;
/** A client may knock as often as it likes; the log says it once in a while. */
const LOG_EVERY_MS = 60_000;

/** Whether a Check may be decided. */
export type EdgeProof = (request: WireCheckRequest) => boolean;

/**
 * A Check must carry the mark exactly once, with the secret, and no canary. Without the mutations there is no mark, and clients do not know
 * the secret. With them in the wrong order, or without the removals, the canary arrives. A request that comes with a ticket needs no mark:
 * a ticket is sealed, and one that does not open is refused.
 */
export function createEdgeProof(options: { secrets: () => readonly Buffer[]; log: Logger; now?: () => number }): EdgeProof {
  const { secrets, log, now = () => performance.now() } = options;
  const loggedAt = new Map<string, number>();

  function refuse(why: string): false {
    if (now() - (loggedAt.get(why) ?? Number.NEGATIVE_INFINITY) >= LOG_EVERY_MS) {
      loggedAt.set(why, now());
      log.error({ why }, 'edge not proven');
    }
    return false;
  }

  return (request) => {
    let mark: string | undefined;
    let marks = 0;
    let rebound = false;
    for (const { key, value, raw_value: raw } of request.attributes?.request?.http?.header_map?.headers ?? []) {
      if (key === MARK) {
        marks += 1;
        mark = raw ? raw.toString('latin1') : value;
      } else if (key === CANARY) {
        return refuse(`${CANARY} was not removed: the removals of x-mcp- are missing, or stand before it is set`);
      } else if (key === REBOUND) {
        rebound = true;
      }
    }
    if (rebound) return true;
    if (marks === 0) return refuse(`${MARK} is missing: the header mutations do not run on this listener`);
    if (marks > 1) return refuse(`${MARK} came more than once: what a client sent was not removed`);
    const given = digest(mark ?? '');
    return secrets().some((secret) => timingSafeEqual(secret, given)) || refuse(`${MARK} holds another secret than edgeSecretFile`);
  };
}

/** The secrets of a file, one in each line, as digests; read again when it changes. @throws Error with one line when there is none. */
export function openEdgeSecrets(file: string, log: Logger): { secrets: () => readonly Buffer[]; close(): void } {
  let current = readSecrets(file);
  const reread = (): void => {
    try {
      current = readSecrets(file);
    } catch (err) {
      log.error({ err }, 'edge secret not read: the last one stays in force');
    }
  };
  watchFile(file, { interval: POLL_MS, persistent: false }, reread);
  return { secrets: () => current, close: () => unwatchFile(file, reread) };
}

function readSecrets(file: string): readonly Buffer[] {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (lines.length === 0 || lines.some((line) => line.length < MIN_SECRET_CHARS)) {
    throw new Error(`${file} must hold a secret of at least ${MIN_SECRET_CHARS} characters`);
  }
  return lines.map(digest);
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
