// Renders envoy/envoy.yaml for this machine: sockets, ports and the CA file change, everything else runs as it is deployed.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { reasonOf } from '../core/reasons.ts';
import type { TraceSettings } from '../telemetry/trace-settings.ts';
import { addTracing, type TraceableBootstrap } from './tracing.ts';

const TEMPLATE = fileURLToPath(new URL('../../envoy/envoy.yaml', import.meta.url));

/** Where systems keep the certificates that they trust; the first that exists is used for `url:` backends with https. */
const CA_FILES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem'];

export interface BootstrapOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Host names that are served on any port; undefined: all. Others get 403 on every path. */
  readonly hosts?: Iterable<string> | undefined;
  readonly adminSocket: string;
  /** gRPC socket and HTTP socket of each sidecar process. */
  readonly sidecars: readonly { readonly grpc: string; readonly http: string }[];
  /** The control plane's socket. */
  readonly control: string;
  /** Proxies in front whose `X-Forwarded-*` headers are believed. */
  readonly trustedProxies?: number;
  /** Overrides the system's CA file. */
  readonly caFile?: string | undefined;
  /** Where Envoy's own spans go; undefined: nowhere. */
  readonly tracing?: TraceSettings | undefined;
}

interface Cluster {
  readonly name: string;
  load_assignment?: unknown;
  transport_socket?: { typed_config: { common_tls_context: { validation_context: { trusted_ca: { filename: string } } } } };
}

interface ConnectionManager {
  xff_num_trusted_hops?: number;
  route_config: { virtual_hosts: object[] };
}

interface Listener {
  address: { socket_address: { address: string; port_value: number } };
  filter_chains: [{ filters: [{ typed_config: ConnectionManager }] }];
}

interface Bootstrap {
  admin: { address: { pipe: { path: string } } };
  static_resources: {
    listeners: [Listener];
    clusters: Cluster[];
  };
}

/** JSON text of a bootstrap. @throws Error when no CA file is found. */
export function renderBootstrap(options: BootstrapOptions): string {
  const bootstrap = parse(readFileSync(TEMPLATE, 'utf8'), { maxAliasCount: -1 }) as Bootstrap;
  bootstrap.admin.address.pipe.path = options.adminSocket;
  const [listener] = bootstrap.static_resources.listeners;
  listener.address.socket_address = { address: options.listen.host, port_value: options.listen.port };
  const manager = listener.filter_chains[0].filters[0].typed_config;
  if (options.trustedProxies) manager.xff_num_trusted_hops = options.trustedProxies;
  if (options.hosts) serveOnly([...options.hosts], manager.route_config);
  for (const cluster of bootstrap.static_resources.clusters) {
    if (cluster.name === 'policy')
      cluster.load_assignment = sockets(
        cluster.name,
        options.sidecars.map(({ grpc }) => grpc),
      );
    if (cluster.name === 'recovery')
      cluster.load_assignment = sockets(
        cluster.name,
        options.sidecars.map(({ http }) => http),
      );
    if (cluster.name === 'control') cluster.load_assignment = sockets(cluster.name, [options.control]);
    if (cluster.transport_socket) {
      cluster.transport_socket.typed_config.common_tls_context.validation_context.trusted_ca.filename = caFile(options.caFile);
    }
  }
  if (options.tracing) addTracing(bootstrap as unknown as TraceableBootstrap, options.tracing, () => caFile(options.caFile));
  return JSON.stringify(bootstrap, null, 2);
}

/** A page that rebinds its own name to this machine cannot choose the Host that it sends: it gets nothing, not even health. */
function serveOnly(hosts: readonly string[], routes: { virtual_hosts: object[] }): void {
  const [served] = routes.virtual_hosts;
  const { status, message, rpcCode: code } = reasonOf('host_not_allowed');
  const body = JSON.stringify({ jsonrpc: '2.0', id: null, error: { code, message } });
  routes.virtual_hosts = [
    { ...served, domains: hosts.flatMap((host) => (/:\d+$/.test(host) ? [host] : [host, `${host}:*`])) },
    {
      name: 'other-hosts',
      domains: ['*'],
      routes: [
        {
          name: 'host-not-allowed',
          match: { prefix: '/' },
          direct_response: { status, body: { inline_string: body } },
          response_headers_to_add: [
            { header: { key: 'content-type', value: 'application/json' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' },
          ],
        },
      ],
      typed_per_filter_config: {
        'envoy.filters.http.ext_authz': {
          '@type': 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute',
          disabled: true,
        },
      },
    },
  ];
}

function sockets(name: string, paths: readonly string[]) {
  return { cluster_name: name, endpoints: [{ lb_endpoints: paths.map((path) => ({ endpoint: { address: { pipe: { path } } } })) }] };
}

function caFile(chosen: string | undefined): string {
  const file = chosen ?? CA_FILES.find((candidate) => existsSync(candidate));
  if (file === undefined) throw new Error('no file of trusted CA certificates found: install ca-certificates or set SSL_CERT_FILE');
  return file;
}
