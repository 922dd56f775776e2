// Renders envoy/envoy.yaml for this machine: sockets, ports and the CA file change, everything else runs as it is deployed.

import { existsSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { reasonOf } from '../core/reasons.ts';
import type { TraceSettings } from '../telemetry/trace-settings.ts';
import { addTracing, type TraceableBootstrap } from './tracing.ts';

const TEMPLATE = fileURLToPath(new URL('../../envoy/envoy.yaml', import.meta.url));

/** Where systems keep the certificates that they trust; the first that exists is used for `url:` backends with https. */
const CA_FILES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem'];

const TLS_SECRET = 'listener';

/** The certificate that the listener shows, and where Envoy reads which files it is in (`renderTlsSecret`). Absolute paths. */
export interface ListenerTls {
  readonly certFile: string;
  readonly keyFile: string;
  readonly secretFile: string;
}

export interface BootstrapOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Host names that are served on any port; undefined: all. Others get 403 on every path. */
  readonly hosts?: Iterable<string> | undefined;
  readonly adminSocket: string;
  /** gRPC socket and HTTP socket of each sidecar process. */
  readonly sidecars: readonly { readonly grpc: string; readonly http: string }[];
  /** The control plane's socket, or where its name leads to. */
  readonly control: string | { readonly host: string; readonly port: number };
  /** Undefined: the listener speaks plain HTTP. */
  readonly tls?: ListenerTls | undefined;
  /** Proxies in front whose `X-Forwarded-*` headers are believed. */
  readonly trustedProxies?: number;
  /** Overrides the system's CA file. */
  readonly caFile?: string | undefined;
  /** Where Envoy's own spans go; undefined: nowhere. */
  readonly tracing?: TraceSettings | undefined;
}

interface Cluster {
  readonly name: string;
  type?: string;
  load_assignment?: unknown;
  transport_socket?: { typed_config: { common_tls_context: { validation_context: { trusted_ca: { filename: string } } } } };
}

interface ConnectionManager {
  xff_num_trusted_hops?: number;
  route_config: { virtual_hosts: object[] };
}

interface Listener {
  address: { socket_address: { address: string; port_value: number } };
  filter_chains: [{ filters: [{ typed_config: ConnectionManager }]; transport_socket?: object }];
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
  if (options.tls) listener.filter_chains[0].transport_socket = serverTls(options.tls);
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
    if (cluster.name === 'control') placeControl(cluster, options.control);
    if (cluster.transport_socket) {
      cluster.transport_socket.typed_config.common_tls_context.validation_context.trusted_ca.filename = caFile(options.caFile);
    }
  }
  if (options.tracing) addTracing(bootstrap as unknown as TraceableBootstrap, options.tracing, () => caFile(options.caFile));
  return JSON.stringify(bootstrap, null, 2);
}

/**
 * Routes of requests that are decided: they are chosen by what no client can set. A server elsewhere gets its own name as Host, and Envoy looks
 * for the route by that.
 */
function decidedRoutes(host: object): object[] {
  const { routes } = host as { routes: { match: { dynamic_metadata?: unknown } }[] };
  return routes.filter(({ match }) => match.dynamic_metadata !== undefined);
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
        ...decidedRoutes(served ?? {}),
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

/** By name it may be several: each of them answers. */
function placeControl(cluster: Cluster, control: BootstrapOptions['control']): void {
  if (typeof control === 'string') {
    cluster.load_assignment = sockets(cluster.name, [control]);
    return;
  }
  const { host, port } = control;
  cluster.type = isIP(host) ? 'STATIC' : 'STRICT_DNS';
  cluster.load_assignment = {
    cluster_name: cluster.name,
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: host, port_value: port } } } }] }],
  };
}

function serverTls({ secretFile }: ListenerTls): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
      common_tls_context: {
        tls_params: { tls_minimum_protocol_version: 'TLSv1_2' },
        alpn_protocols: ['h2', 'http/1.1'],
        tls_certificate_sds_secret_configs: [
          { name: TLS_SECRET, sds_config: { path_config_source: { path: secretFile }, resource_api_version: 'V3' } },
        ],
      },
    },
  };
}

/**
 * JSON text of the file that `secretFile` names. Envoy reads certificates again only when they come this way. Kubernetes replaces the files of a
 * Secret by moving a folder: that is what is watched.
 */
export function renderTlsSecret({ certFile, keyFile }: ListenerTls): string {
  const secret = {
    '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
    name: TLS_SECRET,
    tls_certificate: {
      certificate_chain: { filename: certFile },
      private_key: { filename: keyFile },
      watched_directory: { path: dirname(certFile) },
    },
  };
  return JSON.stringify({ resources: [secret] }, null, 2);
}

function sockets(name: string, paths: readonly string[]) {
  return { cluster_name: name, endpoints: [{ lb_endpoints: paths.map((path) => ({ endpoint: { address: { pipe: { path } } } })) }] };
}

function caFile(chosen: string | undefined): string {
  const file = chosen ?? CA_FILES.find((candidate) => existsSync(candidate));
  if (file === undefined) throw new Error('no file of trusted CA certificates found: install ca-certificates or set SSL_CERT_FILE');
  return file;
}
