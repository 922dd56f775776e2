// Puts the use cases of control together, and the REST interface on top of them: at the admin address, and on the gateway's own URL.

import { isIP } from 'node:net';
import type { Logger } from 'pino';
import type { Registry as MetricsRegistry } from 'prom-client';
import { type AdminServer, type AdminServerOptions, startAdminServer } from '../api/admin-server.ts';
import { type ControlServerOptions, startControlServer } from '../api/control-server.ts';
import { withMcp } from '../api/mcp-endpoint.ts';
import { createRest } from '../api/rest.ts';
import type { Settings } from '../config/settings.ts';
import { version } from '../config/version.ts';
import { type BackendControlDependencies, createBackendControl } from '../control/backends.ts';
import { createFreeing } from '../control/freeing.ts';
import { createImagePolicy } from '../control/image-policy.ts';
import type { Registry } from '../control/registry.ts';
import { createSessionControl, type SessionControlDependencies } from '../control/sessions.ts';
import { createTenantControl } from '../control/tenants.ts';
import { createValuesControl } from '../control/values.ts';
import { createAddressRules } from '../core/address-rules.ts';
import { tenantWindows } from '../gateway/claim.ts';
import { type EndUpstreamDependencies, endUpstream } from '../gateway/end-upstream.ts';
import type { PublicUrlRules } from '../gateway/public-url.ts';
import { createAnswerMcp } from '../mcp/http.ts';
import type { Limits } from '../quota/limits.ts';
import { createClosers } from './closers.ts';
import { performAs } from './control-calls.ts';
import { createControlIdentity } from './control-identity.ts';
import type { Declared } from './declared.ts';
import { openIdentity } from './identity.ts';
import { servedHosts } from './sidecar-options.ts';

export interface ControlOptions
  extends EndUpstreamDependencies,
    Pick<SessionControlDependencies, 'store' | 'audit'>,
    Pick<BackendControlDependencies, 'countByInstance' | 'baseUrl' | 'status' | 'restart' | 'readLog'>,
    Pick<ControlServerOptions, 'listen' | 'internal'> {
  readonly settings: Settings;
  /** Whoever shows it may do everything, where no issuer's tokens are asked for. */
  readonly token: string;
  readonly declared: Pick<Declared, 'registry' | 'backends' | 'tenants'>;
  readonly limits: Pick<Limits, 'usage' | 'releaseSlot'>;
  /** Resolves when what was changed is in force; never rejects. */
  readonly inForce: () => Promise<void>;
  /** The port of the listener, once it is known. */
  readonly ownPort: PublicUrlRules['ownPort'];
  readonly metrics: MetricsRegistry;
  readonly log: Logger;
}

export interface Control {
  /** @throws Error with one line when the address is taken. */
  serveAdmin(options: Omit<AdminServerOptions, 'rest' | 'token' | 'log'>): Promise<AdminServer>;
  /** Where the control plane listens, for Envoy; undefined for a socket. */
  readonly port: number | undefined;
  close(): Promise<void>;
}

/** Serves the control plane to Envoy. @throws Error with one line when it cannot. */
export async function openControl(options: ControlOptions): Promise<Control> {
  const { settings, token, listen, internal, declared, store, limits, audit, log, ownPort, metrics, inForce, ...others } = options;
  const { status, restart, readLog, countByInstance, baseUrl, ...upstream } = others;
  const registry: Registry = {
    ...declared.registry,
    async change(...asked) {
      const changed = await declared.registry.change(...asked);
      await inForce();
      return changed;
    },
  };
  const closers = createClosers();
  const freeing = createFreeing({ store, limits, endUpstream: (record, signal) => endUpstream(record, { ...upstream, log }, signal), log });
  closers.add(() => freeing.close());
  const sessions = createSessionControl({ store, freeing, audit });
  const backends = createBackendControl({
    declared: declared.backends,
    registry,
    imagePolicy: createImagePolicy(settings.allowedImages),
    urlRefusal: createUrlRefusal(settings.urlAllowList),
    ...{ status, restart },
    ...(readLog && { readLog }),
    endSessionsOn: sessions.endAllOn,
    countByInstance,
    baseUrl,
    audit,
  });
  const plain = createRest({
    backends,
    sessions,
    tenants: createTenantControl({
      directory: upstream.directory,
      declared: declared.tenants,
      registry,
      limits,
      windowsOf: tenantWindows,
      tokensAsked: settings.issuers.length > 0,
      audit,
    }),
    values: createValuesControl({ declared, settings }),
  });
  const answerMcp = createAnswerMcp(version(), (err) => log.warn({ err }, 'MCP request of an administrator failed'));
  const rest = withMcp(plain, (request, actor) => answerMcp(request, performAs(plain, actor, request.signal)));
  const publicUrl: PublicUrlRules = {
    publicUrl: settings.publicUrl,
    trustForwardedHost: settings.trustedProxies > 0,
    ownPort,
    namedPorts: new Set(servedHosts(settings).filter((host) => /:\d+$/.test(host))),
  };
  const { issuers, adminRoles, operatorRoles, viewerRoles } = settings;
  const identity = openIdentity({ issuers, adminRoles, tenantless: [...operatorRoles, ...viewerRoles], publicUrl, registry: metrics, log });
  closers.add(() => identity.close());
  const authenticate = createControlIdentity({ settings, identify: identity.identify, directory: upstream.directory, publicUrl, token });
  const server = await startControlServer({ listen, rest, authenticate, log, ...(internal && { internal }) });
  closers.add(() => server.close());
  return { serveAdmin: (where) => startAdminServer({ ...where, rest, token, log }), port: server.port, close: closers.close };
}

/** Why a URL may not be registered. Names are resolved, and their addresses judged, whenever their server is called. */
function createUrlRefusal(allow: readonly string[]): BackendControlDependencies['urlRefusal'] {
  const rules = createAddressRules({ allow });
  return (url) => {
    if (!URL.canParse(url)) return undefined;
    const { hostname } = new URL(url);
    const bare = hostname.replace(/^\[|\]$/g, '');
    const address = isIP(bare) ? bare : /^(.*\.)?localhost\.?$/i.test(bare) ? '127.0.0.1' : undefined;
    const problem = address && rules.refusal(address, hostname);
    return problem && `${bare} ${problem}: an administrator of the gateway may list it in urlAllowList (MCP_GATEWAY_URL_ALLOW_LIST)`;
  };
}
