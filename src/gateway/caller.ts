// Steps 2 and 3 of a decision: who is calling, which tenant that is, and whether this backend is for them at all.

import type { Logger } from 'pino';
import type { TenantId } from '../core/ids.ts';
import { hasScopes, missingScopes } from '../core/scopes.ts';
import { queryOf } from '../core/url-query.ts';
import type { Backend, Snapshot, TenantPolicy } from '../directory/snapshot.ts';
import type { Identity, TokenFault, TokenVerifier } from '../identity/identity.ts';
import { createPrincipal, localCaller, type Principal } from '../identity/principal.ts';
import { tenantOf } from '../identity/tenant.ts';
import { type Case, factsOf } from './case.ts';
import { askForScopes, challenge } from './challenge.ts';
import { ADMIN_ENDPOINT, addressedBy, baseUrlOf, endpointPath, isOwnUrl, type PublicUrlRules } from './public-url.ts';
import { refuse } from './refusal.ts';
import type { Answer, GatewayRequest } from './request.ts';

/** The caller as the later steps need it: one object per token and state of the tenants, so that it can be compared by identity. */
export interface Caller extends Principal {
  /** The rules of the caller's tenant; undefined when there are none. */
  readonly policy: TenantPolicy | undefined;
  readonly admin: boolean;
  /** Nobody is asked for a token: access rules and scopes are not looked at. */
  readonly local: boolean;
}

export type Identify = (
  request: GatewayRequest,
  backend: Backend | undefined,
  snapshot: Snapshot,
) => Caller | Answer | Promise<Caller | Answer>;

const NOBODY: ReadonlySet<string> = new Set();
const DEFAULT_TENANT = 'default' as TenantId;
/** RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1). */
const BEARER_SCHEME = /^bearer(?: |$)/i;
const BEARER = /^bearer +([A-Za-z0-9._~+/=-]+)$/i;

/** The local mode: everyone on this machine who reaches the listener. An MCPTenant named `default` gives them limits. */
export function createLocalIdentify(): Identify {
  let known: { readonly tenants: Snapshot['tenants']; readonly caller: Caller } | undefined;
  return (_request, _backend, { tenants }) => {
    if (known?.tenants === tenants) return known.caller;
    const policy = tenants.find(({ name }) => name === DEFAULT_TENANT);
    known = { tenants, caller: { ...localCaller, policy, admin: true, local: true } };
    return known.caller;
  };
}

export interface IdentifyOptions {
  readonly verifier: TokenVerifier;
  readonly adminRoles: ReadonlySet<string>;
  /** Roles whose holders need not belong to a tenant: where tenants are administered, not where they are served. Administrators never do. */
  readonly tenantless?: ReadonlySet<string>;
  readonly publicUrl: PublicUrlRules;
  readonly log: Logger;
}

export function createIdentify({ verifier, adminRoles, tenantless = NOBODY, publicUrl, log }: IdentifyOptions): Identify {
  const callers = new WeakMap<Identity, { readonly tenants: Snapshot['tenants']; readonly caller: Caller | undefined }>();

  const callerOf = (identity: Identity, tenants: Snapshot['tenants']): Caller | undefined => {
    const known = callers.get(identity);
    if (known?.tenants === tenants) return known.caller;
    const caller = makeCaller(identity, tenants, { adminRoles, tenantless });
    callers.set(identity, { tenants, caller });
    return caller;
  };

  const accept = (
    request: GatewayRequest,
    backend: Backend | undefined,
    snapshot: Snapshot,
    verified: Identity | TokenFault,
  ): Caller | Answer => {
    if ('kind' in verified) return rejected(request, backend, verified);
    const { subject, audiences } = verified;
    if (!isFor(verified, request, publicUrl)) {
      const base = baseUrlOf(addressedBy(request), publicUrl);
      log.info({ requestId: request.id, reason: 'wrong_audience', audiences: audiences.slice(0, 8), wanted: base }, 'token refused');
      return challenge('token_invalid', { base, ...wanted(backend, request), facts: { backend: backend?.name, subject } });
    }
    const caller = callerOf(verified, snapshot.tenants);
    if (!caller) return refuse('no_tenant', { facts: { backend: backend?.name, subject } });
    if (!backend) return caller;
    const { name, access } = backend;
    if (!mayUse(caller, backend)) return refuse('backend_forbidden', { facts: { backend: name, subject, tenant: caller.tenant } });
    const scopes = access?.scopes ?? [];
    if (hasScopes(caller.scopes, scopes)) return caller;
    const base = baseUrlOf(addressedBy(request), publicUrl);
    return askForScopes({ base, endpoint: endpointPath(name), scopes, facts: { backend: name, subject, tenant: caller.tenant } });
  };

  const rejected = (request: GatewayRequest, backend: Backend | undefined, fault: TokenFault): Answer => {
    log.info({ requestId: request.id, reason: fault.code, detail: fault.detail }, 'token refused');
    const facts = { backend: backend?.name };
    if (fault.code === 'keys_unavailable') return refuse('keys_unavailable', { facts });
    return challenge('token_invalid', { base: baseUrlOf(addressedBy(request), publicUrl), ...wanted(backend, request), facts });
  };

  return (request, backend, snapshot) => {
    const { authorization } = request.headers;
    // It would go on to the server in the path. RFC 6750, section 2.3, and MCP forbid it to clients.
    if (hasTokenInQuery(request.path)) return refuse('token_in_query', { facts: { backend: backend?.name } });
    // Other schemes say as little as no header: a client that is told of an error would not log in (RFC 6750, section 3.1).
    if (authorization === undefined || !BEARER_SCHEME.test(authorization)) {
      const base = baseUrlOf(addressedBy(request), publicUrl);
      return challenge('token_missing', { base, ...wanted(backend, request), facts: { backend: backend?.name } });
    }
    const token = BEARER.exec(authorization)?.[1];
    if (token === undefined) return rejected(request, backend, { kind: 'fault', code: 'token_malformed', detail: 'not a bearer token' });
    const verified = verifier.verify(token);
    if (!(verified instanceof Promise)) return accept(request, backend, snapshot, verified);
    return verified.then((settled) => accept(request, backend, snapshot, settled));
  };
}

function hasTokenInQuery(path: string): boolean {
  const query = queryOf(path);
  return query !== '' && new URLSearchParams(query).has('access_token');
}

/** A name that is not declared gets a challenge like one that is: who has no token learns at most which scopes are asked for. */
function wanted(backend: Backend | undefined, { path }: GatewayRequest): { readonly endpoint: string; readonly scopes: readonly string[] } {
  return { endpoint: endpointOf(path), scopes: backend?.access?.scopes ?? [] };
}

/** What a request is for: a backend, the control plane's own MCP server, or the gateway as such. */
function endpointOf(path: string): string {
  const [, first, name, last] = (path.split('?')[0] ?? '').split('/');
  if (first === 'adapters' && last === 'mcp') return endpointPath(name ?? '');
  return first === 'admin' ? ADMIN_ENDPOINT : '';
}

function makeCaller(
  identity: Identity,
  tenants: readonly TenantPolicy[],
  { adminRoles, tenantless }: Required<Pick<IdentifyOptions, 'adminRoles' | 'tenantless'>>,
): Caller | undefined {
  const policy = tenantOf(identity, tenants);
  const admin = identity.roles.some((role) => adminRoles.has(role));
  // Without any MCPTenant every caller belongs to the default one; administrators must not lock themselves out by declaring the first.
  const needsNone = admin || identity.roles.some((role) => tenantless.has(role));
  if (!policy && tenants.length > 0 && !needsNone) return undefined;
  const { issuer, subject, roles, scopes } = identity;
  const tenant = policy?.name ?? DEFAULT_TENANT;
  return { ...createPrincipal({ issuer, subject, tenant, roles, scopes }), policy, admin, local: false };
}

/** A token for the gateway opens every backend, one for a backend's own URL only that one (RFC 8707). */
function isFor({ listedAudience, audiences }: Identity, request: GatewayRequest, publicUrl: PublicUrlRules): boolean {
  // Most tokens are: then nothing has to be known of the URL.
  if (listedAudience) return true;
  const addressed = addressedBy(request);
  if (!isOwnUrl(addressed, publicUrl)) return false;
  const base = baseUrlOf(addressed, publicUrl);
  const endpoint = endpointOf(request.path);
  return audiences.some(
    (audience) => audience === base || audience === `${base}/` || (endpoint !== '' && audience === `${base}${endpoint}`),
  );
}

/** The refusal of a caller for whom this backend is not (any more). */
export function refuseAccess(theCase: Case): Answer | undefined {
  const { caller, backend } = theCase;
  return caller.local || mayUse(caller, backend) ? undefined : refuse('backend_forbidden', { facts: factsOf(theCase) });
}

function mayUse(caller: Caller, { access, creator }: Backend): boolean {
  if (caller.admin || (creator !== undefined && creator === `${caller.issuer} ${caller.subject}`)) return true;
  if (!access) return false;
  if (access.tenants.includes('*') || access.tenants.includes(caller.tenant)) return true;
  return access.roles.some((role) => caller.roles.includes(role));
}

/** The refusal of a call whose tool needs a scope that the token has not; a batch is refused as a whole. */
export function refuseScopes(theCase: Case, publicUrl: PublicUrlRules): Answer | undefined {
  const { caller, request, asked } = theCase;
  const { access, name } = theCase.backend;
  if (caller.local || !access || access.toolScopes.length === 0) return undefined;
  const calls = asked.messages.filter(({ method }) => method === 'tools/call');
  if (calls.length === 0) return undefined;
  const missing = missingScopes(
    caller.scopes,
    access.toolScopes,
    calls.map((call) => call.name),
  );
  if (!missing) return undefined;
  // The new token replaces the old one: it must be good for everything that the old one was good for here.
  const ofBackend = new Set([...access.scopes, ...access.toolScopes.flatMap(([, scopes]) => scopes)]);
  const scopes = [...new Set([...access.scopes, ...caller.scopes.filter((scope) => ofBackend.has(scope)), ...missing])];
  const base = baseUrlOf(addressedBy(request), publicUrl);
  return askForScopes({ base, endpoint: endpointPath(name), scopes, facts: factsOf(theCase), rpcId: asked.single?.id });
}
