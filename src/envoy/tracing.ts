// Adds Envoy's own tracer to a bootstrap: its spans go to the same collector, by the same rules, as the sidecar's.

import { isIP } from 'node:net';
import type { TraceSettings } from '../telemetry/trace-settings.ts';

const CLUSTER = 'otel';
const TYPE = 'type.googleapis.com/envoy';
const SAMPLERS = `${TYPE}.extensions.tracers.opentelemetry.samplers.v3`;
/** Requests on these are no calls of an MCP server: probes would fill the collector. */
const UNTRACED_ROUTES: ReadonlySet<string> = new Set(['healthz', 'sidecar']);
const NEVER = { numerator: 0 };

/** What is touched of a bootstrap; the rest stays as envoy.yaml has it. */
export interface TraceableBootstrap {
  layered_runtime: { layers: [{ static_layer: Record<string, unknown> }] };
  static_resources: {
    listeners: [{ filter_chains: [{ filters: [{ typed_config: ConnectionManager }] }] }];
    clusters: object[];
  };
}

interface ConnectionManager {
  tracing?: object;
  http_filters: { name: string; typed_config?: { allowed_headers?: { patterns: object[] } } }[];
  route_config: { virtual_hosts: { routes?: { name?: string; tracing?: object }[] }[] };
}

/** `caFile`: the system's certificates, for a collector that is reached by TLS. */
export function addTracing(bootstrap: TraceableBootstrap, settings: TraceSettings, caFile: () => string): void {
  const { listeners, clusters } = bootstrap.static_resources;
  const manager = listeners[0].filter_chains[0].filters[0].typed_config;
  clusters.push(collector(settings, caFile));
  Object.assign(bootstrap.layered_runtime.layers[0].static_layer, {
    'tracing.opentelemetry.flush_interval_ms': settings.batch.delayMs,
    'tracing.opentelemetry.min_flush_spans': settings.batch.batch,
  });
  manager.tracing = {
    provider: { name: 'envoy.tracers.opentelemetry', typed_config: tracer(settings) },
    random_sampling: { value: settings.sampler.parentBased ? settings.sampler.ratio * 100 : 100 },
    // `x-client-trace-id` of a client is no reason to trace.
    client_sampling: { value: 0 },
    // Instead of the whole URL: what clients put into a query may be a secret.
    custom_tags: [{ tag: 'http.url', value: '%REQ(:SCHEME)%://%REQ(:AUTHORITY)%%PATH(NQ:PATH)%' }],
    // Each attempt is a span of its own: a recovery shows as two.
    spawn_upstream_span: true,
  };
  // The Check is told of the request's own; the span of Envoy comes as metadata of the call.
  const authz = manager.http_filters.find(({ name }) => name === 'envoy.filters.http.ext_authz');
  authz?.typed_config?.allowed_headers?.patterns.push({ exact: 'traceparent' });
  for (const { routes = [] } of manager.route_config.virtual_hosts) {
    for (const route of routes)
      if (UNTRACED_ROUTES.has(route.name ?? '')) route.tracing = { random_sampling: NEVER, client_sampling: NEVER };
  }
}

function tracer({ protocol, endpoint, headers, timeoutMs, serviceName, attributes, sampler }: TraceSettings): object {
  const timeout = `${timeoutMs / 1000}s`;
  const service =
    protocol === 'grpc'
      ? {
          grpc_service: {
            envoy_grpc: { cluster_name: CLUSTER, authority: endpoint.host },
            timeout,
            // Envoy takes a per cent sign for the beginning of a command here, and has no way to write it; a warning has said so.
            initial_metadata: headers.flatMap(([key, value]) => (value.includes('%') ? [] : [{ key, value }])),
          },
        }
      : {
          http_service: {
            http_uri: { uri: endpoint.href, cluster: CLUSTER, timeout },
            // Here it is written twice.
            request_headers_to_add: headers.map(([key, value]) => ({ header: { key, value: value.replaceAll('%', '%%') } })),
          },
        };
  return {
    '@type': `${TYPE}.config.trace.v3.OpenTelemetryConfig`,
    ...service,
    service_name: serviceName,
    resource_detectors: [
      {
        name: 'envoy.tracers.opentelemetry.resource_detectors.static_config',
        typed_config: {
          '@type': `${TYPE}.extensions.tracers.opentelemetry.resource_detectors.v3.StaticConfigResourceDetectorConfig`,
          attributes: { 'service.instance.id': 'envoy', ...Object.fromEntries(attributes) },
        },
      },
    ],
    // Without a sampler Envoy does what the parent says, and what `random_sampling` says of the others.
    ...(sampler.parentBased ? {} : { sampler: regardless(sampler.ratio) }),
  };
}

/** Samples whatever the client's own trace says. */
function regardless(ratio: number): object {
  if (ratio === 1) {
    return {
      name: 'envoy.tracers.opentelemetry.samplers.always_on',
      typed_config: { '@type': `${SAMPLERS}.AlwaysOnSamplerConfig` },
    };
  }
  return {
    name: 'envoy.tracers.opentelemetry.samplers.trace_id_ratio_based',
    typed_config: {
      '@type': `${SAMPLERS}.TraceIdRatioBasedSamplerConfig`,
      sampling_percentage: { numerator: Math.round(ratio * 1_000_000), denominator: 'MILLION' },
    },
  };
}

function collector({ protocol, endpoint, tls }: TraceSettings, caFile: () => string): object {
  const secure = endpoint.protocol === 'https:';
  // WHATWG URLs keep the brackets of an IPv6 address, and leave out the scheme's own port.
  const address = endpoint.hostname.replace(/^\[|\]$/g, '');
  const port = endpoint.port === '' ? (secure ? 443 : 80) : Number(endpoint.port);
  const chain =
    tls.certificate && tls.key ? { certificate_chain: { filename: tls.certificate }, private_key: { filename: tls.key } } : undefined;
  return {
    name: CLUSTER,
    type: isIP(address) === 0 ? 'LOGICAL_DNS' : 'STATIC',
    // `localhost` may be two addresses, of which one is served: all are tried.
    dns_lookup_family: 'ALL',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: CLUSTER,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address, port_value: port } } } }] }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${TYPE}.extensions.upstreams.http.v3.HttpProtocolOptions`,
        ...(secure ? { upstream_http_protocol_options: { auto_sni: true, auto_san_validation: true } } : {}),
        explicit_http_config: protocol === 'grpc' ? { http2_protocol_options: {} } : { http_protocol_options: {} },
      },
    },
    ...(secure
      ? {
          transport_socket: {
            name: 'envoy.transport_sockets.tls',
            typed_config: {
              '@type': `${TYPE}.extensions.transport_sockets.tls.v3.UpstreamTlsContext`,
              common_tls_context: {
                validation_context: { trusted_ca: { filename: tls.ca ?? caFile() } },
                ...(chain ? { tls_certificates: [chain] } : {}),
              },
            },
          },
        }
      : {}),
  };
}
