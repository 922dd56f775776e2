// The counters seen from another process: the same operations over one connection to the supervisor.

import type { MessageConnection } from 'vscode-jsonrpc/node';
import type { TenantId } from '../core/ids.ts';
import type { Claim, Verdict, WindowLimit } from './limits.ts';
import type { Change, QuotaStore } from './quota-store.ts';

/** Answers one sidecar. */
export function serveLimits(connection: MessageConnection, store: QuotaStore): void {
  connection.onRequest<Verdict, Error>('limits/admit', (claim: Claim) => store.admit(claim));
  connection.onRequest('limits/apply', (changes: Change[]) => store.apply(changes));
  connection.onRequest('limits/beat', (sidecar: string | null) => store.beat(sidecar ?? undefined));
  connection.onRequest('limits/usage', (tenant: TenantId, windows: WindowLimit[]) => store.usage(tenant, windows));
}

/** The sidecar's side. A connection that has ended rejects what is asked from then on; what it owed may stay open until it is disposed of. */
export function linkLimits(connection: MessageConnection): QuotaStore {
  // Async, because a connection that has ended throws.
  const ask = async <T>(method: string, ...params: unknown[]): Promise<T> => (await connection.sendRequest(method, ...params)) as T;
  return {
    admit: (claim) => ask('limits/admit', claim),
    apply: (changes) => ask('limits/apply', changes),
    beat: (sidecar) => ask('limits/beat', sidecar ?? null),
    usage: (tenant, windows) => ask('limits/usage', tenant, windows),
  };
}
