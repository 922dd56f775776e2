// k8s/beside/envoy: the configuration of a plain Envoy that asks sidecars elsewhere, made of the one that our own Envoy runs.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Document, parseDocument, stringify } from 'yaml';
import { CANARY, CONTROL, edgeSecrets, MARK, mutualTls, POLICY, RECOVERY, STRIP_AND_MARK, servedBy } from './edge-parts.ts';

const TEMPLATE = resolve(import.meta.dirname, '../../envoy/envoy.yaml');
const HEADING = ` A plain Envoy in front of MCP servers whose sidecar runs elsewhere (docs/beside.md): made of envoy/envoy.yaml by \`npm run docs\`.
 Needs Envoy 1.40, the variable MCP_GATEWAY_EDGE (what stands in the Secret mcp-gateway-edge), the Secret of its client certificate at
 /etc/mcp-gateway/edge, and the other two files of this folder at /etc/mcp-gateway/config. TLS for clients and your own routes are added as usual; the
 header mutations must stay on every listener that leads to the filters below: the sidecar refuses requests that come without them.
`;
const HCM = ['static_resources', 'listeners', 0, 'filter_chains', 0, 'filters', 0, 'typed_config'] as const;
const ADMIN = { address: { socket_address: { address: '127.0.0.1', port_value: 9901 } } };

/** The text of the configuration, comments and anchors included. @throws when the template has changed its shape. */
export function plainEnvoy(): string {
  const document = parseDocument(readFileSync(TEMPLATE, 'utf8'));
  document.commentBefore = HEADING.trimEnd();
  document.setIn(['admin'], document.createNode(ADMIN));
  document.setIn([...HCM, 'early_header_mutation_extensions', 0, 'typed_config', 'mutations'], document.createNode(STRIP_AND_MARK));
  for (const name of [MARK, CANARY]) {
    document.addIn([...HCM, 'http_filters', 0, 'typed_config', 'allowed_headers', 'patterns'], { exact: name });
    document.addIn([...HCM, 'route_config', 'request_headers_to_remove'], name);
    document.addIn([...HCM, 'route_config', 'response_headers_to_remove'], name);
  }
  replaceCluster(document, 'policy', {
    type: 'STRICT_DNS',
    load_assignment: servedBy('policy', POLICY),
    transport_socket: mutualTls('h2'),
  });
  replaceCluster(document, 'recovery', {
    ...{ type: 'STRICT_DNS', load_assignment: servedBy('recovery', RECOVERY), transport_socket: mutualTls('http/1.1') },
    connect_timeout: '1s',
  });
  replaceCluster(document, 'control', { type: 'STRICT_DNS', load_assignment: servedBy('control', CONTROL), connect_timeout: '1s' });
  return document.toString({ lineWidth: 0, indentSeq: false });
}

/** Its two files of secrets: name and text. */
export function plainEnvoySecrets(): { name: string; text: string }[] {
  const heading = '# A certificate of the plain Envoy in this folder, in the form in which Envoy reads it again when it changes.';
  return Object.entries(edgeSecrets()).map(([name, secret]) => ({
    name: `${name}.yaml`,
    text: `${heading}\n${stringify(secret, { lineWidth: 0, indentSeq: false })}`,
  }));
}

function replaceCluster(document: Document, name: string, fields: Record<string, unknown>): void {
  const { static_resources: resources } = document.toJS({ maxAliasCount: -1 }) as { static_resources: { clusters: { name: string }[] } };
  const at = resources.clusters.findIndex((cluster) => cluster.name === name);
  if (at < 0) throw new Error(`envoy/envoy.yaml has no cluster ${name}`);
  for (const [field, value] of Object.entries(fields))
    document.setIn(['static_resources', 'clusters', at, field], document.createNode(value));
}
