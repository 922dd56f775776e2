// Renders envoy/envoy.yaml for this machine: sockets, ports and the CA file change, everything else runs as it is deployed.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

const TEMPLATE = fileURLToPath(new URL('../../envoy/envoy.yaml', import.meta.url));

/** Where systems keep the certificates that they trust; the first that exists is used for `url:` backends with https. */
const CA_FILES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem'];

export interface BootstrapOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly adminSocket: string;
  /** gRPC socket and HTTP socket of each sidecar process. */
  readonly sidecars: readonly { readonly grpc: string; readonly http: string }[];
  /** Overrides the system's CA file. */
  readonly caFile?: string | undefined;
}

interface Cluster {
  readonly name: string;
  load_assignment?: unknown;
  transport_socket?: { typed_config: { common_tls_context: { validation_context: { trusted_ca: { filename: string } } } } };
}

interface Bootstrap {
  admin: { address: { pipe: { path: string } } };
  static_resources: {
    listeners: [{ address: { socket_address: { address: string; port_value: number } } }];
    clusters: Cluster[];
  };
}

/** JSON text of a bootstrap. @throws Error when no CA file is found. */
export function renderBootstrap(options: BootstrapOptions): string {
  const bootstrap = parse(readFileSync(TEMPLATE, 'utf8'), { maxAliasCount: -1 }) as Bootstrap;
  bootstrap.admin.address.pipe.path = options.adminSocket;
  bootstrap.static_resources.listeners[0].address.socket_address = { address: options.listen.host, port_value: options.listen.port };
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
    if (cluster.transport_socket) {
      cluster.transport_socket.typed_config.common_tls_context.validation_context.trusted_ca.filename = caFile(options.caFile);
    }
  }
  return JSON.stringify(bootstrap, null, 2);
}

function sockets(name: string, paths: readonly string[]) {
  return { cluster_name: name, endpoints: [{ lb_endpoints: paths.map((path) => ({ endpoint: { address: { pipe: { path } } } })) }] };
}

function caFile(chosen: string | undefined): string {
  const file = chosen ?? CA_FILES.find((candidate) => existsSync(candidate));
  if (file === undefined) throw new Error('no file of trusted CA certificates found: install ca-certificates or set SSL_CERT_FILE');
  return file;
}
