// What Envoy Gateway makes of k8s/beside/envoy-gateway, by its own translator, and what its patches do to that.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { CERTIFICATES } from './edge-envoy.ts';

const POLICIES = resolve(import.meta.dirname, '../../k8s/beside/envoy-gateway/policies.yaml');
/** Envoy Gateway 1.9.1's translation without the EnvoyPatchPolicy. */
export const BASE = resolve(import.meta.dirname, '../fixtures/edge/envoy-gateway-1.9.1.json');
const TRANSLATE_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Fields = { [name: string]: Json };

/** Resources by type and name, in the spelling of proto files. */
export interface Xds {
  readonly runtime: Fields;
  readonly listeners: Fields;
  readonly routes: Fields;
  readonly clusters: Fields;
  readonly endpoints: Fields;
}

interface Policy {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Fields;
}

interface Patch {
  readonly type: string;
  readonly name: string;
  readonly operation: { readonly op: string; readonly path: string; readonly jsonPath?: string; readonly value: Json };
}

export function policies(): Policy[] {
  return parseAllDocuments(readFileSync(POLICIES, 'utf8')).map((document) => document.toJS() as Policy);
}

/** What a cluster has besides the policies. Its Services have addresses: the translator knows no EndpointSlices. */
function surroundings(): object[] {
  const read = (name: string): string => readFileSync(join(CERTIFICATES, name), 'utf8');
  const base64 = (name: string): string => Buffer.from(read(name)).toString('base64');
  const namespace = 'mcp-gateway';
  const service = (name: string, ports: readonly number[]): object => ({
    ...{ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace } },
    spec: { clusterIP: '127.0.0.1', ports: ports.map((port) => ({ name: `p${port}`, port, targetPort: port })) },
  });
  return [
    {
      ...{ apiVersion: 'gateway.networking.k8s.io/v1', kind: 'GatewayClass', metadata: { name: 'eg' } },
      spec: { controllerName: 'gateway.envoyproxy.io/gatewayclass-controller' },
    },
    service('mcp-gateway-policy', [8084, 8085]),
    service('mcp-gateway-controller', [8082]),
    {
      ...{ apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls', metadata: { name: 'mcp-gateway-edge-envoy', namespace } },
      data: { 'tls.crt': base64('envoy.pem'), 'tls.key': base64('envoy.key') },
    },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'mcp-gateway-edge-ca', namespace }, data: { 'ca.crt': read('ca.pem') } },
  ];
}

/** Runs `egctl experimental translate`. @throws with what it says. */
export async function translate(egctl: string, wanted: (policy: Policy) => boolean): Promise<Xds> {
  const folder = await mkdtemp(join(tmpdir(), 'egctl-'));
  try {
    const file = join(folder, 'in.yaml');
    const chosen = policies()
      .filter(wanted)
      .map((one) => (one.kind === 'EnvoyProxy' ? { ...one, spec: { ...one.spec, routingType: 'Service' } } : one));
    await writeFile(file, [...surroundings(), ...chosen].map((one) => JSON.stringify(one)).join('\n---\n'));
    const args = ['experimental', 'translate', '--from', 'gateway-api', '--to', 'xds', '--type', 'all', '--output', 'json', '--file', file];
    const { stdout } = await promisify(execFile)(egctl, args, { timeout: TRANSLATE_MS, maxBuffer: MAX_OUTPUT_BYTES });
    return readDump(JSON.parse(stdout));
  } finally {
    await rm(folder, { recursive: true });
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a dump of Envoy Gateway's, of which few fields are read.
function readDump(output: any): Xds {
  const { configs } = output.xds['mcp-gateway/mcp'];
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  const dump = (type: string): any => configs.find((one: Fields) => String(one['@type']).endsWith(`.${type}`));
  const untyped = (one: Fields): Fields => Object.fromEntries(Object.entries(one).filter(([name]) => name !== '@type'));
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  const byName = (all: any[]): Fields => Object.fromEntries(all.map((one) => [one.name ?? one.clusterName, protoNames(untyped(one))]));
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  const of = (all: any[], field: string): any[] => all.map((one) => one[field]);
  return {
    runtime: protoNames(dump('BootstrapConfigDump').bootstrap.layeredRuntime) as Fields,
    listeners: byName(of(of(dump('ListenersConfigDump').dynamicListeners, 'activeState'), 'listener')),
    routes: byName(of(dump('RoutesConfigDump').dynamicRouteConfigs, 'routeConfig')),
    clusters: byName(of(dump('ClustersConfigDump').dynamicActiveClusters, 'cluster')),
    endpoints: byName(of(dump('EndpointsConfigDump').dynamicEndpointConfigs, 'endpointConfig')),
  };
}

/** `portValue` → `port_value`; not the keys of maps, which are names with dots in them. */
function protoNames(value: Json): Json {
  if (Array.isArray(value)) return value.map(protoNames);
  if (value === null || typeof value !== 'object') return value;
  const protoName = (name: string): string =>
    name.includes('.') ? name : name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [protoName(name), protoNames(one)]));
}

/** What Envoy Gateway does with the EnvoyPatchPolicy: so much of JSON Patch and JSONPath as stands there. @throws when a patch finds no place. */
export function patched(base: Xds): Xds {
  const result = structuredClone(base) as Xds;
  const [policy] = policies().filter(({ kind }) => kind === 'EnvoyPatchPolicy');
  if (policy === undefined) throw new Error('there is no EnvoyPatchPolicy');
  for (const { type, name, operation } of policy.spec['jsonPatches'] as unknown as Patch[]) {
    const all = type.endsWith('.Listener') ? result.listeners : type.endsWith('.RouteConfiguration') ? result.routes : result.clusters;
    if (operation.op !== 'add') throw new Error(`${operation.op} is not known here`);
    if (operation.path === '') {
      all[name] = operation.value;
      continue;
    }
    const root = all[name];
    if (root === undefined) throw new Error(`there is no ${name}`);
    const places = operation.jsonPath === undefined ? [root] : find(root, operation.jsonPath);
    if (places.length === 0) throw new Error(`${operation.jsonPath} finds nothing`);
    for (const place of places) put(place, operation.path.split('/').slice(1), operation.value);
  }
  return result;
}

/** `..field[?(@.name == 'x')]`. */
function find(root: Json, jsonPath: string): Json[] {
  const [, field = '', name] = /^\.\.(\w+)\[\?\(@\.name == '([^']+)'\)\]$/.exec(jsonPath) ?? [];
  const found: Json[] = [];
  const walk = (value: Json): void => {
    if (value === null || typeof value !== 'object') return;
    const list = Array.isArray(value) ? undefined : value[field];
    if (Array.isArray(list)) found.push(...list.filter((one) => (one as Fields | null)?.['name'] === name));
    for (const one of Object.values(value)) walk(one);
  };
  walk(root);
  return found;
}

function put(place: Json, path: readonly string[], value: Json): void {
  let at = place as Fields;
  for (const step of path.slice(0, -1)) {
    const next = at[step];
    if (next === undefined) throw new Error(`/${path.join('/')} leads nowhere`);
    at = next as Fields;
  }
  at[path.at(-1) as string] = structuredClone(value);
}
