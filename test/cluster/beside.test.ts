// k8s/beside against the custom resources that Envoy Gateway and Istio publish, on a real API server that takes no unknown field.

import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type ApiServer, startApiServer } from './api-server.ts';
import { goModule } from './go-module.ts';

const BESIDE = resolve(import.meta.dirname, '../../k8s/beside');
const ENVOY_GATEWAY = 'github.com/envoyproxy/gateway@v1.9.1';
const ISTIO = 'istio.io/api@v1.32.0';
const DOWNLOAD_MS = 400_000;
/** Of hundreds of kinds, those that stand in k8s/beside. */
const KINDS = new Set([
  ...['gateways', 'httproutes', 'backendtlspolicies'].map((plural) => `${plural}.gateway.networking.k8s.io`),
  ...['envoyproxies', 'securitypolicies', 'envoyextensionpolicies', 'envoypatchpolicies'].map(
    (plural) => `${plural}.gateway.envoyproxy.io`,
  ),
  ...['gateways', 'envoyfilters'].map((plural) => `${plural}.networking.istio.io`),
]);

interface Named {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

let server: ApiServer;
beforeAll(async () => {
  server = await startApiServer();
  const [envoyGateway, istio] = await Promise.all([goModule(ENVOY_GATEWAY), goModule(ISTIO)]);
  const charts = join(envoyGateway, 'charts/gateway-crds-helm/templates');
  const files = [
    ...['envoyproxies', 'securitypolicies', 'envoyextensionpolicies', 'envoypatchpolicies'].map((plural) =>
      join(charts, 'generated', `gateway.envoyproxy.io_${plural}.yaml`),
    ),
    join(charts, 'standard-gatewayapi-crds.yaml'),
    join(istio, 'kubernetes/customresourcedefinitions.gen.yaml'),
  ];
  for (const file of files) {
    const definitions = documents((await readFile(file, 'utf8')).replaceAll(/^\{\{.*\}\}$/gm, ''));
    const wanted = definitions.filter(({ kind, metadata }) => kind === 'CustomResourceDefinition' && KINDS.has(metadata.name));
    for (const definition of wanted) await server.kubectl.apply(definition);
  }
  for (const name of KINDS) await server.kubectl(['wait', '--for=condition=Established', `crd/${name}`]);
  for (const namespace of ['mcp-gateway', 'mcp', 'istio-ingress']) await server.kubectl(['create', 'namespace', namespace]);
}, DOWNLOAD_MS);
afterAll(() => server.stop());

function documents(text: string): Named[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS({ maxAliasCount: -1 }) as Named | null)
    .filter((one) => one !== null);
}

it.each(['envoy-gateway/policies.yaml', 'istio/envoy-filter.yaml'])('%s', async (file) => {
  const objects = documents(await readFile(join(BESIDE, file), 'utf8'));
  expect(objects.length).toBeGreaterThan(1);
  for (const one of objects) await server.kubectl.apply(one);
});

it('the sidecar alone, with everything of k8s/ that it needs', async () => {
  const rendered = await server.kubectl(['kustomize', join(BESIDE, 'sidecar')]);
  const objects = documents(rendered);
  // The custom resources first, so that the API server knows them; nothing else waits for anything.
  for (const one of objects) await server.kubectl.apply(one);
  const deployment = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'mcp-gateway');
  const { spec } = (
    deployment as unknown as { spec: { template: { spec: { containers: { name: string }[]; initContainers?: object[] } } } }
  ).spec.template;
  expect(spec.containers.map(({ name }) => name)).toEqual(['sidecar']);
  expect(spec.initContainers).toBeUndefined();
});
