// envoy/envoy.yaml, taken apart: what other gateways' Envoys need of it.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse } from 'yaml';

export const TEMPLATE = resolve(import.meta.dirname, '../../envoy/envoy.yaml');

const PER_ROUTE = 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute';

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Fields = { [name: string]: Json };

export interface Route {
  readonly name: string;
  readonly match: Fields;
  readonly route?: Fields & { cluster?: string };
  readonly typed_per_filter_config?: Fields;
  readonly [field: string]: Json | undefined;
}

export interface Template {
  readonly manager: Fields;
  readonly authorization: Fields;
  readonly processing: Fields;
  readonly routes: readonly Route[];
  readonly removedRequestHeaders: readonly string[];
  readonly removedResponseHeaders: readonly string[];
  readonly clusters: readonly (Fields & { name: string })[];
}

/** @throws when the template has changed its shape. */
export function readTemplate(): Template {
  const { static_resources: resources } = parse(readFileSync(TEMPLATE, 'utf8'), { maxAliasCount: -1 });
  const { typed_config: manager } = resources.listeners[0].filter_chains[0].filters[0];
  const { http_filters: filters, route_config: routes } = manager;
  const configOf = (name: string): Fields => filters.find((filter: { name: string }) => filter.name === name).typed_config;
  return {
    manager,
    authorization: configOf('envoy.filters.http.ext_authz'),
    processing: configOf('envoy.filters.http.ext_proc'),
    routes: routes.virtual_hosts[0].routes,
    removedRequestHeaders: routes.request_headers_to_remove,
    removedResponseHeaders: routes.response_headers_to_remove,
    clusters: resources.clusters,
  };
}

/** The same with clusters that have another name elsewhere. */
export function withClusters<Value extends Json>(value: Value, names: ReadonlyMap<string, string>, key = ''): Value {
  if (typeof value === 'string') return (/^cluster(_name)?$/.test(key) ? (names.get(value) ?? value) : value) as Value;
  // A composite cluster lists its members by name.
  if (Array.isArray(value)) return value.map((one) => withClusters(one, names, key === 'clusters' ? 'member' : key)) as Value;
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, withClusters(one, names, key === 'member' && name === 'name' ? 'cluster' : name)]),
  ) as Value;
}

/**
 * A route for a place where filters are off unless their route configures them: routes without a decision lose their entry, undecided ones
 * get one.
 */
export function routeWithFilters(
  one: Route,
  names: { filters: ReadonlyMap<string, string>; clusters: ReadonlyMap<string, string> },
): Fields {
  const { typed_per_filter_config: filters = {}, ...rest } = one;
  const { 'envoy.filters.http.ext_authz': authorization, ...others } = filters;
  const off = (authorization as Fields | undefined)?.['disabled'] === true;
  const undecided = one.route?.cluster === 'pods' && one.match['prefix'] !== '/';
  const entry = authorization ?? (undecided ? { '@type': PER_ROUTE, check_settings: {} } : undefined);
  const kept: Fields = { ...others, ...(off || entry === undefined ? {} : { 'envoy.filters.http.ext_authz': entry }) };
  const named = Object.fromEntries(Object.entries(kept).map(([name, config]) => [names.filters.get(name) ?? name, config]));
  return {
    ...withClusters(rest as Fields, names.clusters),
    ...(Object.keys(named).length === 0 ? {} : { typed_per_filter_config: named }),
  };
}
