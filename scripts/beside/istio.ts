// k8s/beside/istio: the EnvoyFilter that attaches the sidecar to a gateway of Istio.

import { stringify } from 'yaml';
import { CANARY, CONTROL, MARK, mutualTls, POLICY, RECOVERY, STRIP_AND_MARK, servedBy } from './edge-parts.ts';
import { type Fields, type Json, readTemplate, routeWithFilters } from './template.ts';

const NAMESPACE = 'istio-ingress';
const NAME = 'mcp-gateway';
const HOST = 'mcp.example.com';
const PORT = 80;

/** istiod hands Secrets of the gateway's own namespace to it under these names. */
const CLIENT = 'kubernetes://mcp-gateway-edge-envoy';
const CA = 'kubernetes://mcp-gateway-edge-envoy-cacert';
const FROM_ISTIOD = { ads: {}, resource_api_version: 'V3' };

/** Fields of the connection manager that are ours to decide; filters and route discovery stay Istio's. */
const MANAGER_FIELDS = [
  ...['generate_request_id', 'path_with_escaped_slashes_action', 'max_request_headers_kb', 'request_headers_timeout', 'request_timeout'],
  ...['stream_idle_timeout', 'delayed_close_timeout', 'common_http_protocol_options', 'access_log_options', 'access_log'],
  'local_reply_config',
];
const HCM = 'envoy.filters.network.http_connection_manager';
const HCM_TYPE = 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';

const HEADING = `# The sidecar beside a gateway of Istio (docs/beside.md): made of envoy/envoy.yaml by \`npm run docs\`. For a gateway Deployment of its own
# in the namespace ${NAMESPACE} with the label istio: mcp-gateway, whose Envoy is 1.40 or newer, has the variable MCP_GATEWAY_EDGE, and the
# Secret mcp-gateway-edge-envoy (tls.crt, tls.key, ca.crt) in that namespace. Put your host name in both places where ${HOST} stands.
`;

/** Both objects, as one YAML text. */
export function istioFilter(): string {
  const documents = [gateway(), filter()];
  return HEADING + documents.map((one) => stringify(one, { lineWidth: 0, indentSeq: false, aliasDuplicateObjects: false })).join('---\n');
}

const selector = { istio: NAME };
const metadata = { name: NAME, namespace: NAMESPACE };

function gateway(): object {
  const server = { port: { number: PORT, name: 'http', protocol: 'HTTP' }, hosts: [HOST] };
  return { apiVersion: 'networking.istio.io/v1', kind: 'Gateway', metadata, spec: { selector, servers: [server] } };
}

function filter(): object {
  const template = readTemplate();
  const stripping = structuredClone(template.manager['early_header_mutation_extensions'] as Fields[]);
  (stripping[0] as { typed_config: Fields }).typed_config['mutations'] = STRIP_AND_MARK as unknown as Json;
  const patterns = [...(template.authorization['allowed_headers'] as { patterns: Json[] }).patterns, { exact: MARK }, { exact: CANARY }];
  const fields = Object.fromEntries(MANAGER_FIELDS.map((field) => [field, template.manager[field] as Json]));
  const clusters = template.clusters.map((cluster) => ({ ...cluster, ...elsewhere(cluster.name) }));
  const names = { filters: new Map<string, string>(), clusters: new Map<string, string>() };
  const routes = template.routes.map((route) => routeWithFilters(route, names));
  const listener = { portNumber: PORT, filterChain: { filter: { name: HCM } } };
  const beforeRouter = {
    ...listener,
    filterChain: { filter: { name: HCM, subFilter: { name: 'envoy.filters.http.router' } } },
  };
  const filters = [
    { name: 'envoy.filters.http.ext_authz', typed_config: { ...template.authorization, allowed_headers: { patterns } } },
    { name: 'envoy.filters.http.ext_proc', typed_config: template.processing },
  ];
  const removed = {
    request_headers_to_remove: [...template.removedRequestHeaders, MARK, CANARY],
    response_headers_to_remove: [...template.removedResponseHeaders, MARK, CANARY],
  };
  const patch = (applyTo: string, match: object, operation: string, value: object): object => ({
    applyTo,
    match: { context: 'GATEWAY', ...match },
    patch: { operation, value },
  });
  const configPatches = [
    ...clusters.map((cluster) => patch('CLUSTER', {}, 'ADD', cluster)),
    patch('NETWORK_FILTER', { listener }, 'MERGE', {
      name: HCM,
      typed_config: { '@type': HCM_TYPE, early_header_mutation_extensions: stripping, ...fields },
    }),
    // Off for other hosts of this gateway: only the routes below switch them on.
    ...filters.map((one) => patch('HTTP_FILTER', { listener: beforeRouter }, 'INSERT_BEFORE', { ...one, disabled: true })),
    patch('VIRTUAL_HOST', { routeConfiguration: { portNumber: PORT } }, 'ADD', {
      name: NAME,
      domains: [HOST, `${HOST}:*`],
      ...removed,
      routes,
    }),
    patch('BOOTSTRAP', {}, 'MERGE', {
      layered_runtime: {
        layers: [{ name: NAME, static_layer: { 'envoy.reloadable_features.ext_proc_graceful_grpc_close': true } }],
      },
    }),
  ];
  const spec = { workloadSelector: { labels: selector }, configPatches };
  return { apiVersion: 'networking.istio.io/v1alpha3', kind: 'EnvoyFilter', metadata, spec };
}

/** What is different for clusters that are no sockets of this pod. */
function elsewhere(name: string): object {
  const dns = (address: { host: string; port: number }): object => ({ type: 'STRICT_DNS', load_assignment: servedBy(name, address) });
  const tls = (alpn: string): object => mutualTls(alpn, { client: CLIENT, ca: CA, config: () => FROM_ISTIOD });
  if (name === 'policy') return { ...dns(POLICY), transport_socket: tls('h2') };
  if (name === 'recovery') return { ...dns(RECOVERY), connect_timeout: '1s', transport_socket: tls('http/1.1') };
  if (name === 'control') return { ...dns(CONTROL), connect_timeout: '1s' };
  return {};
}
