// What an Envoy that is not ours needs besides envoy/envoy.yaml: the proof, and clusters that are reached by mutual TLS.

/** Where the sidecars are: the names of their headless Services. */
export const POLICY = { host: 'mcp-gateway-policy.mcp-gateway.svc.cluster.local', port: 8084 };
export const RECOVERY = { host: 'mcp-gateway-policy.mcp-gateway.svc.cluster.local', port: 8085 };
export const CONTROL = { host: 'mcp-gateway-controller.mcp-gateway.svc.cluster.local', port: 8082 };

/** What the certificate of the sidecars is made out to. */
const SERVER_NAME = 'mcp-gateway-policy.mcp-gateway.svc';
/** Where the files of secrets are, one secret in each: Envoy takes no more. */
export const SECRETS_FOLDER = '/etc/mcp-gateway/config';

export const MARK = 'x-mcp-edge';
export const CANARY = 'x-mcp-canary';

/**
 * In this order: something internal is planted, everything internal is removed, and what is left gets the mark. The sidecar refuses requests
 * that come without the mark, or still with what was planted.
 */
export const STRIP_AND_MARK = [
  { append: { header: { key: CANARY, value: 'planted' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' } },
  { remove_on_match: { key_matcher: { prefix: 'x-mcp-' } } },
  { remove_on_match: { key_matcher: { prefix: 'x-envoy-' } } },
  { remove: 'x-request-id' },
  { append: { header: { key: MARK, value: '%ENVIRONMENT(MCP_GATEWAY_EDGE)%' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' } },
];

/** Addresses of a headless Service: all pods behind it. */
export function servedBy(cluster: string, { host, port }: { host: string; port: number }): object {
  return {
    cluster_name: cluster,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: host, port_value: port } } } }] }],
  };
}

/** Where an Envoy finds the certificate that it shows, and the CA that it believes. */
interface SecretSource {
  readonly client: string;
  readonly ca: string;
  readonly config: (name: string) => object;
}

const FILES: SecretSource = {
  client: 'edge-client',
  ca: 'edge-ca',
  config: (name) => ({ path_config_source: { path: `${SECRETS_FOLDER}/${name}.yaml` }, resource_api_version: 'V3' }),
};

/** The client's half of mutual TLS. Certificates come as secrets, because Envoy reads only those again. */
export function mutualTls(alpn: string, source: SecretSource = FILES): object {
  const sds = (name: string): object => ({ name, sds_config: source.config(name) });
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      sni: SERVER_NAME,
      common_tls_context: {
        alpn_protocols: [alpn],
        tls_params: { tls_minimum_protocol_version: 'TLSv1_2' },
        tls_certificate_sds_secret_configs: [sds(source.client)],
        combined_validation_context: {
          default_validation_context: { match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact: SERVER_NAME } }] },
          validation_context_sds_secret_config: sds(source.ca),
        },
      },
    },
  };
}

/** The files of secrets by name, for the folder where a Secret of type kubernetes.io/tls with `ca.crt`, as cert-manager makes them, is mounted. */
export function edgeSecrets(folder = '/etc/mcp-gateway/edge'): Readonly<Record<'edge-client' | 'edge-ca', object>> {
  const watched = { watched_directory: { path: folder } };
  const secret = (name: string, value: object): object => ({
    resources: [{ '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret', name, ...value }],
  });
  const pair = { certificate_chain: { filename: `${folder}/tls.crt` }, private_key: { filename: `${folder}/tls.key` } };
  return {
    'edge-client': secret('edge-client', { tls_certificate: { ...pair, ...watched } }),
    'edge-ca': secret('edge-ca', { validation_context: { trusted_ca: { filename: `${folder}/ca.crt` }, ...watched } }),
  };
}
