// Where the name of a remote server points to: looked up again and again, and every answer checked before anybody may use it.

import { lookup } from 'node:dns/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { within } from '../../core/within.ts';

/** How often the name is looked up again. */
const RESOLVE_INTERVAL_MS = 30_000;
const RESOLVE_RETRY_MS = 2000;
const RESOLVE_TIMEOUT_MS = 5000;

/** Gives the addresses of a host name. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** An address that may be used, or why there is none. `address` stays when only the latest look-up has failed. */
export interface Found {
  readonly address: string | undefined;
  readonly problem: string | undefined;
  /** Answers that may not be used: for the log, not for whoever registered the name. */
  readonly refused: readonly string[];
}

/**
 * Tells after each look-up which address to use, until `signal` aborts. The address in use stays while it is still one of the answers
 * (names with several addresses answer in changing order) and still permitted. `refusal` says why an address may not be used: a name
 * that points to the internet when it is registered may point to this machine a minute later (DNS rebinding), so nobody else may look
 * the name up again, and each address is asked about each time.
 */
export async function watchAddress(options: {
  hostname: string;
  refusal: (address: string) => string | undefined;
  onResult: (found: Found) => void;
  signal: AbortSignal;
  resolve?: Resolve | undefined;
  intervalMs?: number | undefined;
}): Promise<void> {
  const { hostname, refusal, onResult, signal, resolve = resolveName, intervalMs = RESOLVE_INTERVAL_MS } = options;
  let address: string | undefined;
  while (!signal.aborted) {
    let problem: string | undefined;
    const answers = await within(resolve(hostname), RESOLVE_TIMEOUT_MS).catch((error: NodeJS.ErrnoException): readonly string[] => {
      problem = `${hostname} cannot be resolved: ${error.code ?? error.message}`;
      return [];
    });
    if (signal.aborted) {
      return;
    }
    const usable = answers.filter((answer) => refusal(answer) === undefined);
    if (answers.length > 0) {
      address = address !== undefined && usable.includes(address) ? address : usable[0];
      problem = usable.length > 0 ? undefined : `${hostname} ${refusal(answers[0] ?? '')}`;
    } else {
      problem ??= `${hostname} cannot be resolved: no address`;
    }
    onResult({ address, problem, refused: answers.filter((answer) => !usable.includes(answer)) });
    await delay(answers.length === 0 ? RESOLVE_RETRY_MS : intervalMs, undefined, { signal }).catch(() => undefined);
  }
}

async function resolveName(hostname: string): Promise<readonly string[]> {
  return (await lookup(hostname, { all: true })).map(({ address }) => address);
}
