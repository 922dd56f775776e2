// The use cases around tenants: list, inspect, register, change and remove one, and adjust its limits, each for a caller who may or may not.

import { CREATED_AT, documentOf, type ResourceDocument, UPDATED_AT } from '../config/resource-document.ts';
import { CREATED_BY, type TenantResource } from '../config/resources.ts';
import { within } from '../core/within.ts';
import type { Snapshot, TenantPolicy } from '../directory/snapshot.ts';
import type { Limits, WindowLimit } from '../quota/limits.ts';
import type { AuditEntry } from '../telemetry/audit-line.ts';
import { type Actor, creatorOf, mayReadTenants, mayWriteTenants } from './actor.ts';
import { audited, nameIn } from './audited.ts';
import { ControlRefusal, declaredElsewhere, invalid, invalidResource, noSuch } from './refusal.ts';
import { expectRevision, InvalidDocument, type Registered, type Registry, revisionOf } from './registry.ts';
import { adjusted, readTenantAdjustment, readTenantData } from './tenant-data.ts';
import { detailOf, summaryOf, type TenantDetail, type TenantOrigin, type TenantSummary } from './tenant-view.ts';

/** Somebody waits for the answer, and it is worth something without the numbers. */
const USAGE_TIMEOUT_MS = 2_000;

/** All of them throw ControlRefusal. */
export interface TenantControl {
  /** In the order in which they are tried. */
  list(actor: Actor): readonly TenantSummary[];
  /** Does not fail without the counters. */
  get(name: string, actor: Actor): Promise<TenantDetail>;
  /** `body`: TenantData. Nothing has happened unless it resolves. */
  create(body: unknown, actor: Actor): Promise<TenantDetail>;
  /** Declares a registered tenant anew, as a whole. `expected`: the revision that the caller has seen. */
  replace(name: string, body: unknown, expected: string | undefined, actor: Actor): Promise<TenantDetail>;
  /** Changes single quotas and limits. What is used up goes on to count. */
  adjust(name: string, body: unknown, expected: string | undefined, actor: Actor): Promise<TenantDetail>;
  /** Who belonged to it belongs to the next one that matches, or to none. */
  remove(name: string, expected: string | undefined, actor: Actor): Promise<void>;
}

export interface TenantControlDependencies {
  readonly directory: { snapshot(): Pick<Snapshot, 'tenants'> };
  /** What is declared at the moment, in files and by API. */
  readonly declared: () => readonly TenantResource[];
  readonly registry: Registry;
  readonly limits: Pick<Limits, 'usage'>;
  /** The windows of the quotas that count everybody together, in the order of the quotas. */
  readonly windowsOf: (policy: TenantPolicy) => readonly WindowLimit[];
  /** Whether callers show tokens: without any, all are one tenant. */
  readonly tokensAsked?: boolean;
  readonly audit: (entry: AuditEntry) => void;
  readonly now?: () => Date;
}

export function createTenantControl(dependencies: TenantControlDependencies): TenantControl {
  const { directory, declared, registry, limits, windowsOf, audit, tokensAsked = false, now = () => new Date() } = dependencies;

  const look = (actor: Actor): void => {
    if (!mayReadTenants(actor)) throw new ControlRefusal('forbidden', 'tenants are shown to viewers, operators and administrators only');
  };
  const administer = (actor: Actor): void => {
    if (!mayWriteTenants(actor)) throw new ControlRefusal('forbidden', 'tenants are changed by administrators only');
  };
  const declaredAs = (name: string): TenantResource => {
    const resource = declared().find((each) => each.name === name);
    if (!resource) throw noSuch('tenant', name);
    return resource;
  };
  const registered = (name: string): void => {
    const { origin, file } = declaredAs(name);
    if (origin !== 'api') throw declaredElsewhere(name, file);
  };

  const originOf = (name: string): TenantOrigin => {
    const resource = declared().find((each) => each.name === name);
    const known = resource?.origin === 'api' ? registry.find('MCPTenant', name) : undefined;
    return { source: known ? 'api' : (resource?.file ?? ''), revision: known?.revision ?? revisionOf([name, resource?.spec]) };
  };

  const shown = async (name: string): Promise<TenantDetail> => {
    const policy = directory.snapshot().tenants.find((tenant) => tenant.name === name);
    if (!policy) throw noSuch('tenant', name);
    const windows = windowsOf(policy);
    const usage = await within(limits.usage(policy.name, windows), USAGE_TIMEOUT_MS).catch(() => undefined);
    return detailOf(policy, originOf(name), { windows, usage });
  };

  const store = async (
    name: string,
    actor: Actor,
    specOf: (present: Registered | undefined) => ResourceDocument['spec'],
  ): Promise<void> => {
    const next = (present: Registered | undefined): ResourceDocument => {
      const spec = specOf(present);
      const before = present?.document.metadata.annotations;
      const at = now().toISOString();
      const stamps = { [CREATED_BY]: before?.[CREATED_BY] ?? creatorOf(actor), [CREATED_AT]: before?.[CREATED_AT] ?? at, [UPDATED_AT]: at };
      return documentOf('MCPTenant', name, spec, stamps);
    };
    try {
      await registry.change('MCPTenant', name, next);
    } catch (error) {
      if (error instanceof InvalidDocument) {
        throw invalidResource(error.problems, (path) => (path === 'metadata.name' ? 'name' : path.replace(/^spec\./, '')));
      }
      throw error;
    }
  };

  return {
    list(actor) {
      look(actor);
      return directory.snapshot().tenants.map((policy) => summaryOf(policy, originOf(policy.name)));
    },
    async get(name, actor) {
      look(actor);
      return shown(name);
    },
    create: (body, actor) =>
      audited(audit, { action: 'tenant.create', target: nameIn(body), actor }, async () => {
        administer(actor);
        const { name, ...spec } = readTenantData(body);
        // Who has not thought of that would lock everybody out.
        if (tokensAsked && spec.match === undefined && directory.snapshot().tenants.length === 0) {
          const message =
            'must be given for the first tenant: from then on callers who belong to none are refused ([]: by the tenant claim of the issuer alone)';
          throw invalid([{ field: 'match', message }]);
        }
        if (declared().some((tenant) => tenant.name === name && tenant.origin !== 'api')) throw taken(name);
        await store(name, actor, (present) => {
          if (present) throw taken(name);
          return spec;
        });
        return shown(name);
      }),
    replace: (name, body, expected, actor) =>
      audited(audit, { action: 'tenant.update', target: name, actor }, async () => {
        administer(actor);
        registered(name);
        const { name: _, ...spec } = readTenantData(body, name);
        await store(name, actor, (present) => {
          expectRevision('tenant', name, present, expected);
          return spec;
        });
        return shown(name);
      }),
    adjust: (name, body, expected, actor) =>
      audited(audit, { action: 'tenant.adjust', target: name, actor }, async () => {
        administer(actor);
        registered(name);
        const change = readTenantAdjustment(body);
        await store(name, actor, (present) => {
          expectRevision('tenant', name, present, expected);
          return adjusted(present?.document.spec ?? {}, change);
        });
        return shown(name);
      }),
    remove: (name, expected, actor) =>
      audited(audit, { action: 'tenant.remove', target: name, actor }, async () => {
        administer(actor);
        registered(name);
        await registry.change('MCPTenant', name, (present) => {
          expectRevision('tenant', name, present, expected);
          return undefined;
        });
      }),
  };
}

const taken = (name: string): ControlRefusal =>
  new ControlRefusal('exists', `there is a tenant ${name} already: choose another name, or change that one`);
