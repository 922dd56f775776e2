// What a declared backend becomes in the cluster.

import { describe, expect, it } from 'vitest';
import { type BackendResource, parseResource } from '../../../config/resources.ts';
import { objectsOf, type WorkloadOptions } from './workload.ts';

const options: WorkloadOptions = {
  ...{ namespace: 'mcp', gatewayNamespace: 'mcp-gateway', runnerImage: 'ghcr.io/acme/runner:1', drainGraceMs: 600_000 },
  controllerUrl: 'http://mcp-gateway-controller.mcp-gateway:8082',
};

function backend(spec: Record<string, unknown>): BackendResource {
  const input = { apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend', metadata: { name: 'github' }, spec };
  const read = parseResource(input, { file: '', label: 'github' });
  if (!('kind' in read) || read.kind !== 'MCPBackend') throw new Error(JSON.stringify(read));
  return read;
}

// biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary fields of objects.
type Any = any;

function made(spec: Record<string, unknown>, { replicas = 1, restart }: { replicas?: number; restart?: string } = {}): Record<string, Any> {
  const objects = objectsOf(backend(spec), { uid: 'u', replicas, restart }, options);
  return Object.fromEntries(objects.map(({ kind, object }) => [`${kind.kind} ${object.metadata.name}`, object]));
}

const podOf = (spec: Record<string, unknown>): Any => {
  const objects = made(spec);
  return (objects['Deployment github'] ?? objects['StatefulSet github']).spec.template.spec;
};
const serverOf = (spec: Record<string, unknown>): Any => podOf(spec).containers[0];
const drainOf = (spec: Record<string, unknown>): Any => podOf(spec).initContainers[0];
const image = 'ghcr.io/acme/server:1.0';

describe('the objects of a backend', () => {
  it('are a Deployment and what belongs to it, owned by the MCPBackend', () => {
    const objects = made({ image }, { replicas: 2 });
    expect(Object.keys(objects)).toEqual([
      ...['ServiceAccount github', 'NetworkPolicy github', 'Service github', 'Deployment github', 'PodDisruptionBudget github'],
    ]);
    for (const { metadata } of Object.values(objects)) {
      expect(metadata.namespace).toBe('mcp');
      expect(metadata.labels).toEqual({
        ...{ 'app.kubernetes.io/name': 'github', 'app.kubernetes.io/managed-by': 'mcp-gateway', 'mcpgateway.dev/backend': 'github' },
      });
      expect(metadata.ownerReferences).toEqual([
        { apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend', name: 'github', uid: 'u', controller: true },
      ]);
    }
  });

  it('have a StatefulSet and its governing Service when they have storage; no budget for a single pod', () => {
    const objects = made({ image, storage: { size: '2Gi', path: '/files', storageClass: 'fast' } });
    expect(Object.keys(objects)).toEqual([
      ...['ServiceAccount github', 'NetworkPolicy github', 'Service github', 'Service github-headless', 'StatefulSet github'],
    ]);
    const { spec } = objects['StatefulSet github'];
    expect(spec.serviceName).toBe('github-headless');
    expect(spec.volumeClaimTemplates[0].spec).toMatchObject({ storageClassName: 'fast', resources: { requests: { storage: '2Gi' } } });
    expect(spec.template.spec.containers[0].volumeMounts).toContainEqual({ name: 'data', mountPath: '/files' });
  });

  it('are none for a server that runs elsewhere', () => {
    expect(made({ url: 'https://mcp.example.com/mcp' })).toEqual({});
  });

  it('let only gateways and controllers in', () => {
    const { spec } = made({ image })['NetworkPolicy github'];
    expect(spec.policyTypes).toEqual(['Ingress']);
    expect(spec.ingress).toHaveLength(1);
    expect(spec.ingress[0].from[0].namespaceSelector.matchLabels).toEqual({ 'kubernetes.io/metadata.name': 'mcp-gateway' });
  });
});

describe('the pod', () => {
  it('may do nothing that restricted pod security forbids, and shows nobody a token but the drain agent', () => {
    const pod = podOf({ image });
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    });
    for (const container of [...pod.containers, ...pod.initContainers]) {
      expect(container.securityContext).toMatchObject({
        ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      });
    }
    expect(serverOf({ image }).volumeMounts).toEqual([{ name: 'tmp', mountPath: '/tmp' }]);
    expect(drainOf({ image }).volumeMounts.map(({ name }: Any) => name)).toEqual(['controller-token']);
    expect(pod.shareProcessNamespace).toBeUndefined();
  });

  it('is held by the drain agent, for no longer than it may', () => {
    expect(serverOf({ image }).lifecycle.preStop.httpGet).toMatchObject({ path: '/drain', port: 15_080 });
    expect(podOf({ image }).terminationGracePeriodSeconds).toBe(600);
    expect(drainOf({ image })).toMatchObject({
      image: options.runnerImage,
      restartPolicy: 'Always',
      args: ['drain-agent', '--port', '15080'],
    });
  });

  it('takes arguments and variables as everywhere: $(PORT) is expanded, nothing else is', () => {
    const server = serverOf({
      ...{ image, port: 9000, args: ['--port=$(PORT)', 'a$(HOME)', '$$(PORT)', 'cost: 5$'] },
      env: [
        { name: 'URL', value: 'http://$(PORT)/$(HOST)' },
        { name: 'KEY', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
      ],
    });
    expect(server.args).toEqual(['--port=$(PORT)', 'a$$(HOME)', '$$$(PORT)', 'cost: 5$']);
    expect(server.env).toEqual([
      { name: 'PORT', value: '9000' },
      { name: 'URL', value: 'http://$(PORT)/$$(HOST)' },
      { name: 'KEY', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
    ]);
  });

  it.each([
    ['npm:@acme/server@1.0.0', 'streamable-http', ['run', 'npm:@acme/server@1.0.0', '--port', '8000', '--path', '/mcp', '--', 'x']],
    [
      'pypi:server==1',
      'stdio',
      ['run', 'pypi:server==1', '--stdio', '--port', '8000', '--path', '/mcp', '--idle-timeout', '86400000ms', '--', 'x'],
    ],
    [image, 'stdio', ['run', '--stdio', '--port', '8000', '--path', '/mcp', '--idle-timeout', '86400000ms', '--', 'x']],
    [image, 'streamable-http', ['x']],
  ])('runs %s over %s', (text, transport, args) => {
    const server = serverOf({ image: text, transport, args: ['x'] });
    expect(server.args).toEqual(args);
    expect(server.command).toBeUndefined();
    expect(server.image).toBe(text.includes('/server:') ? text : options.runnerImage);
  });

  it('is asked how it is where its declaration says', () => {
    expect(serverOf({ image }).readinessProbe.httpGet).toEqual({ path: '/healthz', port: 'mcp', scheme: 'HTTP' });
    expect(serverOf({ image, healthCheck: { path: '/up' } }).startupProbe.httpGet.path).toBe('/up');
    const asked = serverOf({ image, path: '/x', healthCheck: { type: 'mcp' } });
    expect(asked.livenessProbe.httpGet).toEqual({ path: '/probe', port: 15_080, scheme: 'HTTP' });
    expect(drainOf({ image, path: '/x', healthCheck: { type: 'mcp' } }).env).toContainEqual({ name: 'SERVER_PATH', value: '/x' });
    const budget = ({ startupProbe }: Any): number => startupProbe.periodSeconds * startupProbe.failureThreshold;
    expect(budget(serverOf({ image }))).toBe(120);
    expect(budget(serverOf({ image, scaling: { startTimeout: '5m' } }))).toBe(300);
    expect(budget(serverOf({ image: 'npm:x@1' }))).toBe(720);
  });

  it('is given what it asks for', () => {
    const resources = { requests: { cpu: '2' }, limits: { cpu: '2', memory: '1Gi' } };
    expect(serverOf({ image, resources }).resources).toEqual(resources);
    expect(serverOf({ image }).resources).toEqual({ requests: { cpu: '50m', memory: '128Mi' } });
  });

  it('stays the same when only policy changes, and is another one when a restart is asked for', () => {
    const template = (spec: Record<string, unknown>, restart?: string): string =>
      JSON.stringify(made(spec, restart === undefined ? {} : { restart })['Deployment github'].spec.template);
    const before = template({ image });
    const policy = {
      ...{ access: { tenants: ['a'] }, trustToolHints: true, affinity: 'none', path: '/other' },
      sessions: { recovery: 'fail', idleTimeout: '1h', maxAge: '1d' },
      scaling: { toZeroAfter: '1m', startTimeout: '50s', max: 3, requestsPerReplica: 5 },
    };
    expect(template({ image, ...policy, replicas: 3 })).toBe(before);
    expect(template({ image }, '2026-01-01T00:00:00Z')).not.toBe(before);
    expect(template({ image: `${image}.1` })).not.toBe(before);
  });
});
