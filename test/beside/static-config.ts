// From what Envoy Gateway would send to an Envoy, to a configuration that an Envoy runs by itself.

import { join } from 'node:path';
import { CERTIFICATES } from './edge-envoy.ts';
import type { Xds } from './egctl.ts';

const RESOURCE = 'mcp-gateway/mcp/http';

export interface StaticOptions {
  readonly xds: Xds;
  readonly adminSocket: string;
  readonly port: number;
  /** Where the addresses of the translation really are. */
  readonly ports: ReadonlyMap<number, number>;
}

// biome-ignore lint/suspicious/noExplicitAny: resources of Envoy, of which few fields are read.
type Resource = any;

/** JSON text. Listeners, routes, clusters and endpoints stay as they are; what would come from a server stands in the file. */
export function staticConfig({ xds, adminSocket, port, ports }: StaticOptions): string {
  const listener: Resource = structuredClone(xds.listeners[RESOURCE]);
  listener.address = { socket_address: { address: '127.0.0.1', port_value: port } };
  const manager = listener.default_filter_chain.filters[0].typed_config;
  delete manager.rds;
  manager.route_config = xds.routes[RESOURCE];
  const clusters = Object.values(structuredClone(xds.clusters)).map((cluster: Resource) => {
    if (cluster.type !== 'EDS') return cluster;
    const { eds_cluster_config: _, ...rest } = cluster;
    return { ...rest, type: 'STATIC', load_assignment: xds.endpoints[cluster.name] };
  });
  const pem = (name: string): object => ({ filename: join(CERTIFICATES, name) });
  const config = {
    admin: { address: { pipe: { path: adminSocket } } },
    layered_runtime: xds.runtime,
    static_resources: {
      listeners: [listener],
      clusters,
      secrets: [
        {
          name: 'mcp-gateway/mcp-gateway-edge-envoy',
          tls_certificate: { certificate_chain: pem('envoy.pem'), private_key: pem('envoy.key') },
        },
        { name: 'mcp-gateway-policy/mcp-gateway-ca', validation_context: { trusted_ca: pem('ca.pem') } },
      ],
    },
  };
  return JSON.stringify(config, (key, value: unknown) => {
    // A secret without a source is one of the file.
    if (key === 'sds_config') return undefined;
    return key === 'port_value' ? (ports.get(Number(value)) ?? value) : value;
  });
}
