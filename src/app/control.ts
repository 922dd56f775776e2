// Puts the use cases of control together, and the routes of the admin address on top of them.

import type { Logger } from 'pino';
import { type BackendControlDependencies, createBackendControl } from '../control/backends.ts';
import { loadOrCreateToken } from '../control/control-token.ts';
import { createFreeing } from '../control/freeing.ts';
import { createSessionControl, type SessionControlDependencies } from '../control/sessions.ts';
import { createTenantControl } from '../control/tenants.ts';
import { tenantWindows } from '../gateway/claim.ts';
import { type EndUpstreamDependencies, endUpstream } from '../gateway/end-upstream.ts';
import { type ControlRoutes, createControlRoutes } from '../http/admin-control.ts';
import type { Limits } from '../quota/limits.ts';
import type { LocalRuntime } from '../runtime/local/runtime.ts';

export interface ControlOptions
  extends EndUpstreamDependencies,
    Pick<SessionControlDependencies, 'store' | 'audit'>,
    Pick<BackendControlDependencies, 'declared' | 'countByInstance' | 'baseUrl'> {
  /** Made when there is none. */
  readonly tokenFile: string;
  readonly limits: Pick<Limits, 'usage' | 'releaseSlot'>;
  readonly runtime: Pick<LocalRuntime, 'status' | 'restart'>;
  readonly log: Logger;
}

export interface Control {
  readonly routes: ControlRoutes;
  close(): void;
}

/** @throws Error with one line when the token cannot be read or made. */
export async function openControl(options: ControlOptions): Promise<Control> {
  const { tokenFile, store, limits, audit, log, runtime, declared, countByInstance, baseUrl, ...upstream } = options;
  const token = await loadOrCreateToken(tokenFile);
  const freeing = createFreeing({ store, limits, endUpstream: (record, signal) => endUpstream(record, { ...upstream, log }, signal), log });
  const sessions = createSessionControl({ store, freeing, audit });
  const tenants = createTenantControl({ directory: upstream.directory, limits, windowsOf: tenantWindows });
  const { status, restart } = runtime;
  const backends = createBackendControl({ declared, status, restart, countByInstance, baseUrl, audit });
  return { routes: createControlRoutes({ token, sessions, tenants, backends }), close: freeing.close };
}
