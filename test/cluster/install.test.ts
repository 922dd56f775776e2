// Installing on a real API server, in every way that the docs name: each object is taken under strict validation, and nothing is left afterwards.

import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type ApiServer, startApiServer } from './api-server.ts';
import { helm } from './helm.ts';
import { CHART, charted, idOf, isFirst, kustomized, type Manifest, RELEASE_NAMESPACE } from './renderings.ts';

const FOLDER = resolve(import.meta.dirname, '../../k8s');
const SLOW = { timeout: 180_000 };
let server: ApiServer;
beforeAll(async () => {
  server = await startApiServer({ controllers: ['namespace-controller', 'garbage-collector-controller'] });
}, 180_000);
afterAll(() => server?.stop());

const values = {
  ...{ publicUrl: 'https://mcp.example.com', issuers: [{ issuer: 'https://login.example.com/', audiences: ['https://mcp.example.com'] }] },
  ...{ tls: { secretName: 'mcp-gateway-tls' }, redis: { embedded: true }, upstreamSecrets: ['remote'], caBundle: { configMap: 'ca' } },
  gateway: { replicas: 3, service: { type: 'LoadBalancer', externalTrafficPolicy: 'Local' } },
  tenants: { engineering: { match: [{ issuer: 'https://login.example.com/', claim: 'groups', values: ['eng'] }] } },
  backends: {
    github: { image: 'ghcr.io/acme/github:1', access: { tenants: ['engineering'] }, scaling: { toZeroAfter: '15m' } },
    remote: {
      url: 'https://mcp.example.com/mcp',
      upstreamAuth: { header: 'Authorization', prefix: 'Bearer ', valueFrom: { secretKeyRef: { name: 'remote', key: 'token' } } },
    },
  },
};
const ownNamespace: Manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: RELEASE_NAMESPACE } };
const ways: Readonly<Record<string, () => Promise<Manifest[]>>> = {
  'kubectl apply -k k8s': () => kustomized('k8s'),
  'the overlay for development': () => kustomized('k8s/overlays/dev'),
  'the overlay for production': () => kustomized('k8s/overlays/production'),
  'the chart without values': async () => [ownNamespace, ...(await charted())],
  'the chart with all kinds of values': async () => [ownNamespace, ...(await charted(values))],
};

/** Those of the manifests that are there. */
async function present(manifests: readonly Manifest[]): Promise<string[]> {
  const { kubectl } = server;
  const ours = await kubectl(['get', 'crd', '-o', 'name']);
  // Of a kind that is gone nothing can be there.
  const asked = manifests.filter(({ apiVersion }) => !apiVersion.startsWith('mcpgateway.dev/') || ours.includes('mcpgateway.dev'));
  const said = await kubectl(['get', '--ignore-not-found', '-o', 'json', '-f', '-'], { input: asked });
  if (said === '') return [];
  const answer = JSON.parse(said) as Manifest & { readonly items?: readonly Manifest[] };
  return (answer.items ?? [answer]).map(idOf);
}

async function establish(manifests: readonly Manifest[]): Promise<void> {
  await server.kubectl.apply(manifests.filter(isFirst));
  await server.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
}

/** Resources before their kinds, and both before their namespaces. */
async function remove(manifests: readonly Manifest[]): Promise<void> {
  await server.kubectl(['delete', '--wait', '--timeout=120s', '-f', '-'], { input: manifests.toReversed(), timeoutMs: 150_000 });
}

const isKind = ({ kind }: Manifest): boolean => kind === 'CustomResourceDefinition';

describe.each(Object.entries(ways))('%s', (_way, render) => {
  test('is taken as a whole, and leaves nothing', SLOW, async () => {
    const manifests = await render();
    await establish(manifests);
    await server.kubectl.apply(manifests, ['--dry-run=server']);
    await server.kubectl.apply(manifests);
    expect((await present(manifests)).toSorted()).toEqual(manifests.map(idOf).toSorted());
    // An API server does not like kinds that come and go within seconds: they go once, at the end.
    await remove(manifests.filter((manifest) => !isKind(manifest)));
    expect((await present(manifests)).toSorted()).toEqual(manifests.filter(isKind).map(idOf).toSorted());
  });

  test('has only pods that restricted pod security lets in', SLOW, async () => {
    const manifests = await render();
    await establish(manifests);
    await server.kubectl(['label', 'namespace', RELEASE_NAMESPACE, 'pod-security.kubernetes.io/enforce=restricted', '--overwrite']);
    const pods = manifests.flatMap((manifest): Manifest[] => {
      if (manifest.kind === 'Pod') return [manifest];
      if (manifest.kind !== 'Deployment') return [];
      const { metadata, spec } = manifest['spec'].template as { metadata: object; spec: object };
      return [
        { apiVersion: 'v1', kind: 'Pod', metadata: { ...metadata, name: manifest.metadata.name, namespace: RELEASE_NAMESPACE }, spec },
      ];
    });
    expect(pods.length).toBeGreaterThanOrEqual(2);
    await server.kubectl.apply(pods, ['--dry-run=server']);
    const open = pods.map((pod) => ({ ...pod, spec: { ...(pod['spec'] as object), securityContext: {} } }));
    for (const pod of open)
      await expect(server.kubectl.apply(pod, ['--dry-run=server'])).rejects.toThrow(/violates PodSecurity "restricted/);
    for (const { metadata, spec } of pods) {
      expect(spec, metadata.name).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
      for (const container of [...(spec['initContainers'] ?? []), ...spec['containers']]) {
        expect(container, container.name).toMatchObject({
          securityContext: { readOnlyRootFilesystem: true },
          resources: { requests: { cpu: expect.any(String), memory: expect.any(String) }, limits: { memory: expect.any(String) } },
        });
      }
    }
  });
});

describe('helm', () => {
  test('installs, upgrades and uninstalls; what holds data stays', SLOW, async () => {
    const { kubeconfig, kubectl } = server;
    // Helm takes over no namespace that somebody else has made.
    await kubectl(['delete', 'namespace', 'mcp', RELEASE_NAMESPACE, '--ignore-not-found', '--wait']);
    const release = ['mcp-gateway', CHART, '--namespace', RELEASE_NAMESPACE, '--create-namespace', '--values', '-'];
    await helm(['upgrade', '--install', ...release], { kubeconfig, input: stringify(values) });
    expect(await kubectl(['get', 'mcpbackends', '-n', 'mcp', '-o', 'name'])).toBe(
      'mcpbackend.mcpgateway.dev/github\nmcpbackend.mcpgateway.dev/remote\n',
    );
    const notes = await helm(['get', 'notes', 'mcp-gateway', '--namespace', RELEASE_NAMESPACE], { kubeconfig });
    expect(notes).toContain('Clients connect to https://mcp.example.com/adapters/NAME/mcp');

    await helm(['upgrade', '--install', ...release], { kubeconfig, input: stringify({ backends: { github: values.backends.github } }) });
    expect(await kubectl(['get', 'mcpbackends', '-n', 'mcp', '-o', 'name'])).toBe('mcpbackend.mcpgateway.dev/github\n');
    expect(await helm(['get', 'notes', 'mcp-gateway', '--namespace', RELEASE_NAMESPACE], { kubeconfig })).toContain('kubectl port-forward');

    await helm(['uninstall', 'mcp-gateway', '--namespace', RELEASE_NAMESPACE], { kubeconfig });
    const manifests = [...(await charted()), ...(await charted(values))];
    expect(new Set(await present(manifests))).toEqual(new Set(['Namespace /mcp', ...manifests.filter(isKind).map(idOf)]));
    // The next one finds its own namespace.
    await helm(['upgrade', '--install', ...release], { kubeconfig, input: '{}' });
    await helm(['uninstall', 'mcp-gateway', '--namespace', RELEASE_NAMESPACE], { kubeconfig });
  });
});

test('kubectl delete -k k8s takes the kinds away, too, with whatever is of them', SLOW, async () => {
  const manifests = await kustomized('k8s');
  await establish(manifests);
  await server.kubectl.apply(manifests);
  const backend = {
    apiVersion: 'mcpgateway.dev/v1alpha1',
    kind: 'MCPBackend',
    metadata: { name: 'github', namespace: 'mcp' },
    spec: values.backends.github,
  };
  await server.kubectl.apply(backend);
  await server.kubectl(['delete', '--wait', '--timeout=120s', '-k', FOLDER], { timeoutMs: 150_000 });
  expect(await present([...manifests, backend])).toEqual([]);
});
