// Puts the use cases of control together, and the routes of the admin address on top of them.

import type { Logger } from 'pino';
import { loadOrCreateToken } from '../control/control-token.ts';
import { createFreeing } from '../control/freeing.ts';
import { createSessionControl, type SessionControlDependencies } from '../control/sessions.ts';
import { createTenantControl } from '../control/tenants.ts';
import { tenantWindows } from '../gateway/claim.ts';
import { type EndUpstreamDependencies, endUpstream } from '../gateway/end-upstream.ts';
import { type ControlRoutes, createControlRoutes } from '../http/admin-control.ts';
import type { Limits } from '../quota/limits.ts';

export interface ControlOptions extends EndUpstreamDependencies, Pick<SessionControlDependencies, 'store' | 'audit'> {
  /** Made when there is none. */
  readonly tokenFile: string;
  readonly limits: Pick<Limits, 'usage' | 'releaseSlot'>;
  readonly log: Logger;
}

export interface Control {
  readonly routes: ControlRoutes;
  close(): void;
}

/** @throws Error with one line when the token cannot be read or made. */
export async function openControl({ tokenFile, store, limits, audit, log, ...upstream }: ControlOptions): Promise<Control> {
  const token = await loadOrCreateToken(tokenFile);
  const freeing = createFreeing({ store, limits, endUpstream: (record, signal) => endUpstream(record, { ...upstream, log }, signal), log });
  const sessions = createSessionControl({ store, freeing, audit });
  const tenants = createTenantControl({ directory: upstream.directory, limits, windowsOf: tenantWindows });
  return { routes: createControlRoutes({ token, sessions, tenants }), close: freeing.close };
}
