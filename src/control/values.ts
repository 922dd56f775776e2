// The use case around the Helm chart: the values file for what is declared here, or for what somebody gives.

import { isDeepStrictEqual } from 'node:util';
import { documentOf, type ResourceDocument } from '../config/resource-document.ts';
import { type BackendResource, parseResource, type TenantResource } from '../config/resources.ts';
import { type Settings, settingsTable } from '../config/settings.ts';
import { type Actor, maySeeAll } from './actor.ts';
import { fieldOf, readAdapterData, specOf } from './adapter-data.ts';
import { ControlRefusal, invalid, invalidResource, noSuch } from './refusal.ts';
import { readTenantData } from './tenant-data.ts';
import { type HelmValues, helmValues } from './values-file.ts';
import { type Entry, readValuesRequest } from './values-request.ts';

/** Throws ControlRefusal. */
export interface ValuesControl {
  /** `body`: ValuesRequest. What it does not name is as declared here. Changes nothing. */
  make(body: unknown, actor: Actor): HelmValues;
}

/** What the file takes over from the settings of the gateway. */
export type ValuesSettings = Pick<
  Settings,
  'issuers' | 'publicUrl' | 'redisUrl' | 'namespace' | 'gatewayNamespace' | (typeof TAKEN_OVER)[number]
>;

export interface ValuesControlDependencies {
  readonly declared: { backends(): readonly BackendResource[]; tenants(): readonly TenantResource[] };
  readonly settings: ValuesSettings;
}

/** Rules that hold wherever the gateway runs; addresses and folders are another one's there. */
const TAKEN_OVER = ['adminRoles', 'operatorRoles', 'viewerRoles', 'allowedImages', 'allowedOrigins', 'onRevocationOutage'] as const;

export function createValuesControl({ declared, settings }: ValuesControlDependencies): ValuesControl {
  return {
    make(body, actor) {
      if (!maySeeAll(actor)) throw new ControlRefusal('forbidden', 'values are made for viewers, operators and administrators only');
      return valuesFor(body, declared, settings);
    },
  };
}

/** For whoever has the files themselves. @throws ControlRefusal `invalid` or `missing`. */
export function valuesFor(body: unknown, declared: ValuesControlDependencies['declared'], settings: ValuesSettings): HelmValues {
  const request = readValuesRequest(body);
  const { issuers = settings.issuers, publicUrl = settings.publicUrl, replicas = 1 } = request;
  return helmValues({
    ...{ issuers, publicUrl, replicas, redis: settings.redisUrl !== undefined, settings: takenOver(settings) },
    backends: chosen('backends', request.backends, declared.backends(), givenBackend),
    tenants: chosen('tenants', request.tenants, declared.tenants(), givenTenant),
    ...{ namespace: settings.namespace, gatewayNamespace: settings.gatewayNamespace },
  });
}

function takenOver(settings: ValuesSettings): Record<string, unknown> {
  const changed = TAKEN_OVER.flatMap((name): [string, unknown][] => {
    const value = settings[name];
    const { fallback } = settingsTable[name];
    const assumed = Array.isArray(value) ? (fallback ?? '').split(',').filter((each) => each !== '') : fallback;
    return value === undefined || isDeepStrictEqual(value, assumed) ? [] : [[name, value]];
  });
  return Object.fromEntries(changed);
}

/** All that are declared, or those that are asked for: by name alone, or as given. */
function chosen<T extends { readonly name: string }>(
  what: 'backends' | 'tenants',
  asked: readonly Entry[] | undefined,
  declared: readonly T[],
  given: (entry: Entry) => T,
): readonly T[] {
  if (asked === undefined) return declared;
  return asked.map((entry, at) => {
    if (Object.keys(entry).length > 1) return withPlace(`${what}.${at}`, () => given(entry));
    const found = declared.find(({ name }) => name === entry.name);
    if (!found) throw noSuch(what === 'backends' ? 'backend' : 'tenant', entry.name);
    return found;
  });
}

function givenBackend(entry: Entry): BackendResource {
  const data = readAdapterData(entry);
  // Values that are to be kept are somewhere else: here they are left out anyway.
  const variables = Object.entries(data.environmentVariables ?? {}).map(([name, value]) => [name, value ?? ''] as const);
  const spec = specOf({ ...data, ...(variables.length > 0 && { environmentVariables: Object.fromEntries(variables) }) }, undefined);
  const resource = parsed(documentOf('MCPBackend', data.name, spec), (path) => fieldOf(path, spec));
  return resource as BackendResource;
}

function givenTenant(entry: Entry): TenantResource {
  const { name, ...spec } = readTenantData(entry);
  return parsed(documentOf('MCPTenant', name, spec), (path) => path.replace(/^spec\./, '')) as TenantResource;
}

function parsed(document: ResourceDocument, rename: (path: string) => string): BackendResource | TenantResource {
  const resource = parseResource(document, { file: '', label: document.metadata.name });
  if (!('kind' in resource)) throw invalidResource(resource, rename);
  return resource;
}

/** Says of which entry the problems are. */
function withPlace<T>(place: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ControlRefusal) || error.problems.length === 0) throw error;
    throw invalid(error.problems.map(({ field, message }) => ({ field: `${place}.${field}`, message })));
  }
}
