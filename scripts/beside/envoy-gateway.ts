// k8s/beside/envoy-gateway: the policies that attach the sidecar to a Gateway of Envoy Gateway.

import { stringify } from 'yaml';
import { CANARY, MARK, STRIP_AND_MARK } from './edge-parts.ts';
import { type Fields, type Json, readTemplate, routeWithFilters, withClusters } from './template.ts';

const NAMESPACE = 'mcp-gateway';
const NAME = 'mcp';
const LISTENER = 'http';
const SERVICE = 'mcp-gateway-policy';
const SERVER_NAME = `${SERVICE}.${NAMESPACE}.svc`;

/** What Envoy Gateway calls what it makes of these policies. */
const AUTHORIZATION = `envoy.filters.http.ext_authz/securitypolicy/${NAMESPACE}/${NAME}`;
const PROCESSING = `envoy.filters.http.ext_proc/envoyextensionpolicy/${NAMESPACE}/${NAME}/extproc/0`;
const POLICY_CLUSTER = `securitypolicy/${NAMESPACE}/${NAME}/extauth/0`;
const CONTROL_CLUSTER = `httproute/${NAMESPACE}/${NAME}/rule/0`;
const RECOVERY_CLUSTER = `httproute/${NAMESPACE}/${NAME}/rule/1`;
/** Without one, the cluster's name would be the authority of each call: its slashes are an error of the protocol for a server of Node's. */
const AUTHORITY = 'mcp-gateway-policy.mcp-gateway:8084';
const RESOURCE = `${NAMESPACE}/${NAME}/${LISTENER}`;

const CLUSTERS = new Map([
  ['policy', POLICY_CLUSTER],
  ['recovery', RECOVERY_CLUSTER],
  ['control', CONTROL_CLUSTER],
]);
/** Metadata keeps the plain name, so only keys of per-filter configuration are renamed. */
const FILTERS = new Map([
  ['envoy.filters.http.ext_authz', AUTHORIZATION],
  ['envoy.filters.http.ext_proc', PROCESSING],
]);
const OWN_CLUSTERS = ['pods', 'remote', 'pods-then-recovery', 'remote-then-recovery'];
/** Fields of the connection manager that are ours to decide; ports, route discovery and filters stay Envoy Gateway's. */
const MANAGER_FIELDS = [
  ...['generate_request_id', 'path_with_escaped_slashes_action', 'max_request_headers_kb', 'request_headers_timeout', 'request_timeout'],
  ...['stream_idle_timeout', 'delayed_close_timeout', 'common_http_protocol_options', 'access_log_options', 'access_log'],
  'local_reply_config',
];
/** Of the clusters that Envoy Gateway makes for the sidecars: addresses and TLS stay its own. */
const POLICY_FIELDS = ['common_lb_config', 'circuit_breakers', 'health_checks', 'outlier_detection'];
const RECOVERY_FIELDS = ['circuit_breakers', 'typed_extension_protocol_options'];
const ALPN_PATH = '/transport_socket_matches/0/transport_socket/typed_config/common_tls_context/alpn_protocols';
const BUFFER_BYTES = 1_048_576;
const LISTENER_TYPE = 'type.googleapis.com/envoy.config.listener.v3.Listener';
const ROUTES_TYPE = 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration';
const CLUSTER_TYPE = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';

const HEADING = `# The sidecar beside Envoy Gateway (docs/beside.md): made of envoy/envoy.yaml by \`npm run docs\`. Written for Envoy Gateway 1.9 with
# Envoy 1.40, a GatewayClass named eg, and \`extensionApis.enableEnvoyPatchPolicy: true\` in Envoy Gateway's own configuration. Needs the
# Secrets mcp-gateway-edge (key \`secret\`), mcp-gateway-edge-envoy (client certificate) and the ConfigMap mcp-gateway-edge-ca (\`ca.crt\`).
`;

/** All objects, as one YAML text. */
export function envoyGatewayPolicies(): string {
  const documents = [proxy(), gateway(), route(), backendTls(), security(), extension(), patches()];
  return HEADING + documents.map((one) => stringify(one, { lineWidth: 0, indentSeq: false, aliasDuplicateObjects: false })).join('---\n');
}

const object = (apiVersion: string, kind: string, name: string, spec: object): object => ({
  apiVersion,
  kind,
  metadata: { name, namespace: NAMESPACE },
  spec,
});
const policyRef = (port: number): object => ({ name: SERVICE, port });
const routeRef = { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', name: NAME };

function proxy(): object {
  const runtime = { 'envoy.reloadable_features.ext_proc_graceful_grpc_close': true };
  const layer = { op: 'add', path: '/layered_runtime/layers/-', value: { name: 'mcp-gateway', static_layer: runtime } };
  const env = [{ name: 'MCP_GATEWAY_EDGE', valueFrom: { secretKeyRef: { name: 'mcp-gateway-edge', key: 'secret' } } }];
  return object('gateway.envoyproxy.io/v1alpha1', 'EnvoyProxy', NAME, {
    backendTLS: { clientCertificateRef: { kind: 'Secret', name: 'mcp-gateway-edge-envoy' } },
    bootstrap: { type: 'JSONPatch', jsonPatches: [layer] },
    provider: {
      type: 'Kubernetes',
      kubernetes: { envoyDeployment: { container: { image: 'envoyproxy/envoy:distroless-v1.40.0', env } } },
    },
  });
}

function gateway(): object {
  return object('gateway.networking.k8s.io/v1', 'Gateway', NAME, {
    gatewayClassName: 'eg',
    infrastructure: { parametersRef: { group: 'gateway.envoyproxy.io', kind: 'EnvoyProxy', name: NAME } },
    listeners: [{ name: LISTENER, protocol: 'HTTP', port: 80, allowedRoutes: { namespaces: { from: 'Same' } } }],
  });
}

/** Only its clusters are used: the patches bring routes of their own. */
function route(): object {
  const rule = (path: string, backend: object): object => ({
    matches: [{ path: { type: 'PathPrefix', value: path } }],
    backendRefs: [backend],
  });
  return object('gateway.networking.k8s.io/v1', 'HTTPRoute', NAME, {
    parentRefs: [{ name: NAME }],
    rules: [rule('/adapters', { name: 'mcp-gateway-controller', port: 8082 }), rule('/', policyRef(8085))],
  });
}

function backendTls(): object {
  const ca = { group: '', kind: 'ConfigMap', name: 'mcp-gateway-edge-ca' };
  return object('gateway.networking.k8s.io/v1', 'BackendTLSPolicy', SERVICE, {
    targetRefs: [{ group: '', kind: 'Service', name: SERVICE }],
    validation: { caCertificateRefs: [ca], hostname: SERVER_NAME },
  });
}

function security(): object {
  const headers = readTemplate().authorization['allowed_headers'] as { patterns: { exact: string }[] };
  return object('gateway.envoyproxy.io/v1alpha1', 'SecurityPolicy', NAME, {
    targetRefs: [routeRef],
    extAuth: {
      grpc: { backendRefs: [policyRef(8084)] },
      headersToExtAuth: [...headers.patterns.map(({ exact }) => exact), MARK, CANARY],
      bodyToExtAuth: { maxRequestBytes: 65_536 },
      timeout: '60s',
      failOpen: false,
      recomputeRoute: true,
      statusOnError: 503,
    },
  });
}

function extension(): object {
  return object('gateway.envoyproxy.io/v1alpha1', 'EnvoyExtensionPolicy', NAME, {
    targetRefs: [routeRef],
    extProc: [
      {
        backendRefs: [policyRef(8084)],
        messageTimeout: '10s',
        failOpen: false,
        processingMode: { response: {} },
        metadata: { accessibleNamespaces: ['envoy.filters.http.ext_authz'] },
        statusOnError: 503,
      },
    ],
  });
}

function patches(): object {
  const template = readTemplate();
  const manager = "..filters[?(@.name == 'envoy.filters.network.http_connection_manager')]";
  const filter = (name: string): string => `..http_filters[?(@.name == '${name}')]`;
  const listener = (jsonPath: string, path: string, value: Json): object => ({
    type: LISTENER_TYPE,
    name: RESOURCE,
    operation: { op: 'add', jsonPath, path, value },
  });
  const amended = (name: string, wanted: string, fields: readonly string[]): object[] => {
    const cluster = template.clusters.find((one) => one.name === wanted) ?? {};
    return fields.map((field) => ({
      type: CLUSTER_TYPE,
      name,
      operation: { op: 'add', path: `/${field}`, value: (cluster as Fields)[field] as Json },
    }));
  };
  const routes = (path: string, value: Json): object => ({ type: ROUTES_TYPE, name: RESOURCE, operation: { op: 'add', path, value } });
  const stripping = structuredClone(template.manager['early_header_mutation_extensions'] as Fields[]);
  (stripping[0] as { typed_config: Fields }).typed_config['mutations'] = STRIP_AND_MARK as unknown as Json;
  const patterns = [...(template.authorization['allowed_headers'] as { patterns: Json[] }).patterns, { exact: MARK }, { exact: CANARY }];
  const authorization = withClusters({ ...template.authorization, allowed_headers: { patterns } }, CLUSTERS);
  const processing = withClusters(template.processing, CLUSTERS);
  return object('gateway.envoyproxy.io/v1alpha1', 'EnvoyPatchPolicy', NAME, {
    targetRef: { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: NAME },
    type: 'JSONPatch',
    jsonPatches: withAuthority([
      ...template.clusters
        .filter(({ name }) => OWN_CLUSTERS.includes(name))
        .map((cluster) => ({
          type: CLUSTER_TYPE,
          name: cluster.name,
          operation: { op: 'add', path: '', value: withClusters(cluster, CLUSTERS) },
        })),
      // A retry, and the sidecar's look at a body, need the whole of it.
      { type: LISTENER_TYPE, name: RESOURCE, operation: { op: 'add', path: '/per_connection_buffer_limit_bytes', value: BUFFER_BYTES } },
      ...amended(POLICY_CLUSTER, 'policy', POLICY_FIELDS),
      // Without it a server of Node's does not know that HTTP/2 is meant.
      { type: CLUSTER_TYPE, name: POLICY_CLUSTER, operation: { op: 'add', path: ALPN_PATH, value: ['h2'] } },
      ...amended(RECOVERY_CLUSTER, 'recovery', RECOVERY_FIELDS),
      listener(manager, '/typed_config/early_header_mutation_extensions', stripping),
      ...MANAGER_FIELDS.map((field) =>
        listener(manager, `/typed_config/${field}`, withClusters(template.manager[field] as Json, CLUSTERS)),
      ),
      listener(filter(AUTHORIZATION), '/typed_config', authorization),
      listener(filter(PROCESSING), '/typed_config', processing),
      routes('/request_headers_to_remove', [...template.removedRequestHeaders, MARK, CANARY]),
      routes('/response_headers_to_remove', [...template.removedResponseHeaders, MARK, CANARY]),
      routes(
        '/virtual_hosts/0/routes',
        template.routes.map((one) => routeWithFilters(one, { filters: FILTERS, clusters: CLUSTERS })),
      ),
    ]),
  });
}

/** The same with an authority for everything that asks the sidecars by gRPC. */
function withAuthority(patchList: readonly object[]): Json {
  return JSON.parse(JSON.stringify(patchList), (key, value: Json) => {
    const asks = (key === 'envoy_grpc' && (value as Fields)['cluster_name'] === POLICY_CLUSTER) || key === 'grpc_health_check';
    return asks ? { ...(value as Fields), authority: AUTHORITY } : value;
  }) as Json;
}
