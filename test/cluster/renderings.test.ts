// Two ways to install, one result: the kustomizations and the chart give the same objects, but for who says that they are theirs.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { helm } from './helm.ts';
import { CHART, charted, idOf, kustomized, type Manifest } from './renderings.ts';

const k8s = resolve(import.meta.dirname, '../../k8s');
const OWN_LABELS = ['app.kubernetes.io/managed-by', 'app.kubernetes.io/instance', 'app.kubernetes.io/part-of', 'helm.sh/chart'];
const OWN_ANNOTATIONS = ['checksum/config', 'helm.sh/resource-policy'];

type Metadata = Record<string, Record<string, string> | undefined>;
function withoutOwn(metadata: Metadata): void {
  for (const [field, names] of [
    ['labels', OWN_LABELS],
    ['annotations', OWN_ANNOTATIONS],
  ] as const) {
    const kept = Object.entries(metadata[field] ?? {}).filter(([name]) => !names.includes(name));
    if (kept.length > 0) metadata[field] = Object.fromEntries(kept);
    else delete metadata[field];
  }
}

/** By what they are. The ConfigMap's name ends with a hash in one, and its text is written in another way. */
function comparable(manifests: readonly Manifest[]): Record<string, Manifest> {
  const all = manifests.map((manifest) => {
    const object = structuredClone(manifest);
    withoutOwn(object.metadata as Metadata);
    if (object.kind === 'ConfigMap') {
      object.metadata.name = 'mcp-gateway';
      object['data'] = { 'gateway.yaml': parse(object['data']['gateway.yaml'] as string) as unknown };
    }
    if (object.kind === 'Deployment') {
      const { metadata, spec } = object['spec'].template as { metadata: Metadata; spec: { volumes: { configMap?: { name: string } }[] } };
      withoutOwn(metadata);
      for (const { configMap } of spec.volumes) if (configMap) configMap.name = configMap.name.replace(/^(mcp-gateway)-\w+$/, '$1');
    }
    return object;
  });
  return Object.fromEntries(all.map((object) => [idOf(object), object]));
}

/** The namespace that Helm makes itself with --create-namespace. */
const OWN_NAMESPACE = 'Namespace /mcp-gateway';

async function expectSame(folder: string, values: object): Promise<void> {
  const { [OWN_NAMESPACE]: own, ...base } = comparable(await kustomized(folder));
  const chart = comparable(await charted(values, ['--skip-tests']));
  expect(own).toBeDefined();
  expect(Object.keys(chart).toSorted()).toEqual(Object.keys(base).toSorted());
  for (const [id, object] of Object.entries(base)) expect(chart[id], id).toEqual(object);
}

describe('the chart gives the same as', () => {
  test('the base, without any values', () => expectSame('k8s', {}));

  test('the overlay for production, with the values for it', () => {
    const { publicUrl, issuers, auditLog } = parse(readFileSync(resolve(k8s, 'overlays/production/config/gateway.yaml'), 'utf8')) as Record<
      string,
      unknown
    >;
    return expectSame('k8s/overlays/production', {
      ...{ publicUrl, issuers, settings: { auditLog }, tls: { secretName: 'mcp-gateway-tls' }, redis: { secretName: 'mcp-gateway-redis' } },
      gateway: { replicas: 3, service: { type: 'LoadBalancer' } },
    });
  });

  test('the overlay for development, with its Redis', () =>
    expectSame('k8s/overlays/dev', { redis: { embedded: true }, gateway: { replicas: 2 } }));
});

describe('the chart', () => {
  test('has nothing that lint complains of', async () => {
    expect(await helm(['lint', '--strict', CHART])).toContain('0 chart(s) failed');
  });

  test('puts everything into the namespaces of the release', async () => {
    const namespaces = { release: 'tools', backends: 'servers' };
    const manifests = await charted({ backendNamespace: { name: namespaces.backends } }, ['--namespace', namespaces.release]);
    const used = manifests.flatMap(({ metadata, subjects = [] }) => [
      metadata.namespace,
      ...(subjects as { namespace: string }[]).map((each) => each.namespace),
    ]);
    expect(new Set(used.filter((name) => name !== undefined))).toEqual(new Set(Object.values(namespaces)));
    const config = manifests.find(({ kind }) => kind === 'ConfigMap')?.['data']['gateway.yaml'] as string;
    expect(parse(config)).toMatchObject({
      namespace: 'servers',
      gatewayNamespace: 'tools',
      controllerUrl: 'http://mcp-gateway-controller.tools:8082',
    });
    expect(manifests.filter(({ kind }) => kind.startsWith('ClusterRole')).map(({ metadata }) => metadata.name)).toEqual([
      ...['mcp-gateway-controller-tools', 'mcp-gateway-controller-tools'],
    ]);
  });

  test('brings values to where they belong', async () => {
    const manifests = await charted({
      ...{ upstreamSecrets: ['remote', 'Other.x'.toLowerCase()], caBundle: { configMap: 'ca' }, extraLabels: { team: 'mcp' } },
      images: { gateway: { repository: 'registry.example.com/mcp-gateway', digest: `sha256:${'a'.repeat(64)}` }, pullSecrets: ['pull'] },
      settings: { workers: 4, envoyConcurrency: 8, drainTimeoutMs: 30_000 },
      gateway: { env: [{ name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'http://otel:4317' }], tolerations: [{ operator: 'Exists' }] },
      serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
      tenants: { engineering: { quotas: [{ requests: 5_000_000, per: '1h' }] } },
      backends: { github: { image: 'ghcr.io/acme/github:1', args: ['on', '1e3'] } },
    });
    const found = (kind: string, name = 'mcp-gateway') => manifests.find((each) => each.kind === kind && each.metadata.name === name);
    const pod = found('Deployment')?.['spec'].template.spec;
    expect(pod).toMatchObject({
      ...{ terminationGracePeriodSeconds: 60, imagePullSecrets: [{ name: 'pull' }], tolerations: [{ operator: 'Exists' }] },
      containers: [{ args: expect.arrayContaining(['--concurrency', '8', '--drain-time-s', '30']) }],
    });
    const [, sidecar] = pod.initContainers;
    expect(sidecar.image).toBe(`registry.example.com/mcp-gateway:0.1.0@sha256:${'a'.repeat(64)}`);
    expect(sidecar.env).toEqual(expect.arrayContaining([{ name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'http://otel:4317' }]));
    const mounts = (sidecar.volumeMounts as { name: string; mountPath: string }[]).map(({ mountPath }) => mountPath);
    expect(mounts).toEqual(
      expect.arrayContaining(['/run/mcp-gateway/secrets/remote', '/run/mcp-gateway/secrets/other.x', '/etc/mcp-gateway/ca']),
    );
    expect(parse(found('ConfigMap')?.['data']['gateway.yaml'])).toMatchObject({ workers: 4, envoyConcurrency: 8, drainTimeoutMs: 30_000 });
    expect(found('ServiceMonitor')?.metadata['labels']).toMatchObject({ release: 'prometheus', team: 'mcp' });
    expect(found('MCPTenant', 'engineering')).toMatchObject({
      metadata: { namespace: 'mcp' },
      spec: { quotas: [{ requests: 5_000_000 }] },
    });
    expect(found('MCPBackend', 'github')).toMatchObject({ spec: { args: ['on', '1e3'] } });
    for (const { kind, metadata } of manifests.filter((each) => each.kind !== 'CustomResourceDefinition' && each.kind !== 'Pod')) {
      expect(metadata['labels'], kind).toMatchObject({ team: 'mcp' });
    }
  });

  test.each<[object, RegExp]>([
    [{ gateway: { replicas: 2 } }, /gateway\.replicas above 1 needs Redis.*set redis\.secretName/],
    [{ gateway: { service: { type: 'LoadBalancer' } } }, /service\.type LoadBalancer needs issuers/],
    [{ issuers: [{ issuer: 'https://login.example.com/' }] }, /issuers need publicUrl/],
    [{ redis: { embedded: true, secretName: 'redis' } }, /exclude each other/],
    [{ backendNamespace: { name: 'mcp-gateway' } }, /backends need a namespace of their own/],
    [{ gateway: { replica: 2 } }, /replica/],
    [{ backends: { github: { image: 'x', replicas: -1 } } }, /replicas/],
    [{ settings: { listen: '0.0.0.0:80' } }, /listen/],
  ])('refuses %j', async (values, says) => {
    await expect(charted(values)).rejects.toThrow(says);
  });
});
