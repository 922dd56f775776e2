// Bare Envoy: a listener, a router and the pods, and nothing else; the part of every figure that is Envoy's own proxying.

import { SESSION_SEPARATOR } from './mcp-calls.ts';
import type { Pod } from './variant.ts';

/**
 * One STATIC cluster for each pod, with the connection settings of the gateway's own (envoy/envoy.yaml, `pods`). A session reaches
 * its pod by the beginning of its id, which costs one comparison; `initialize` takes turns.
 */
export function bareBootstrap(pods: readonly Pod[], adminSocket: string): string {
  const clusters = pods.map(({ pod, port }) => ({
    name: pod,
    type: 'STATIC',
    connect_timeout: '0.5s',
    circuit_breakers: {
      thresholds: [{ max_connections: 20_000, max_pending_requests: 50_000, max_requests: 50_000, max_retries: 50_000 }],
      per_host_thresholds: [{ max_connections: 4096 }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        common_http_protocol_options: { idle_timeout: '4s' },
        explicit_http_config: { http_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: pod,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } }] }],
    },
  }));
  const pinned = pods.map(({ pod }) => ({
    match: { prefix: '/', headers: [{ name: 'mcp-session-id', string_match: { prefix: pod + SESSION_SEPARATOR } }] },
    route: { cluster: pod, timeout: '0s' },
  }));
  const initialize = {
    match: { prefix: '/' },
    route: { weighted_clusters: { clusters: pods.map(({ pod }) => ({ name: pod, weight: 1 })) }, timeout: '0s' },
  };
  const manager = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'bare',
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
    route_config: { virtual_hosts: [{ name: 'bare', domains: ['*'], routes: [...pinned, initialize] }] },
  };
  return JSON.stringify({
    admin: { address: { pipe: { path: adminSocket } } },
    static_resources: {
      listeners: [
        {
          name: 'bare',
          address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
          filter_chains: [{ filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] }],
        },
      ],
      clusters,
    },
  });
}
