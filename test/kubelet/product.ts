// The product installed on the tests' cluster as its users install it, and what tests look at there.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { inject } from 'vitest';
import { parse } from 'yaml';
import { createKubectl, type KubectlObject } from '../cluster/kubectl.ts';
import { waitFor } from '../harness/wait-for.ts';
import { COUNTER_IMAGE, loadProductImages } from './images.ts';

const root = resolve(import.meta.dirname, '../..');
const START_TIMEOUT_MS = 120_000;

export const kubectl = createKubectl(inject('cluster').kubeconfig);

// biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary fields of arbitrary objects.
export type Seen = KubectlObject & Record<string, any>;

export interface Product {
  /** `kubectl delete -k`: resolves when all of it is gone. */
  remove(): Promise<void>;
  /** Removes the files of the overlay, not what is on the cluster. */
  close(): void;
}

/** `kubectl apply -k` with two gateways and Redis, and with shorter times than people would wait. Resolves when everything is ready. */
export async function installProduct(): Promise<Product> {
  await loadProductImages();
  const folder = mkdtempSync(join(tmpdir(), 'overlay-'));
  const dev = resolve(root, 'k8s/overlays/dev');
  const settings = {
    ...(parse(readFileSync(join(root, 'k8s/base/config/gateway.yaml'), 'utf8')) as object),
    ...{ drainGraceMs: 45_000, drainIdleMs: 2_000, drainTimeoutMs: 20_000 },
  };
  writeFileSync(join(folder, 'gateway.yaml'), JSON.stringify(settings));
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(overlay(relative(folder, dev))));
  const close = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    await kubectl(['apply', '--server-side', '-k', folder]);
    for (const name of ['mcp-gateway-controller', 'mcp-gateway']) {
      const status = ['rollout', 'status', '-n', 'mcp-gateway', `deployment/${name}`, `--timeout=${START_TIMEOUT_MS / 1000}s`];
      await kubectl(status, { timeoutMs: START_TIMEOUT_MS + 5_000 });
    }
  } catch (error) {
    const said = await whatIsThere();
    close();
    throw new Error(`${(error as Error).message}\n${said}`, { cause: error });
  }
  return {
    close,
    async remove() {
      await kubectl(['delete', '-k', folder, '--wait=true', '--timeout=170s'], { timeoutMs: 180_000 });
    },
  };
}

/** The machine has two processors, of which nobody else's pods are to be promised anything. */
const overlay = (base: string) => ({
  apiVersion: 'kustomize.config.k8s.io/v1beta1',
  kind: 'Kustomization',
  resources: [base],
  configMapGenerator: [{ name: 'mcp-gateway', namespace: 'mcp-gateway', behavior: 'replace', files: ['gateway.yaml'] }],
  patches: [
    modest('mcp-gateway', { initContainers: ['envoy-config', 'sidecar'], containers: ['envoy'] }),
    modest('mcp-gateway-controller', { containers: ['controller'] }),
    modest('mcp-gateway-redis', { containers: ['redis'] }, PROBED_BY_PORT),
  ],
});

/** The image of Redis that is made here has no redis-cli. */
const PROBED_BY_PORT = Object.fromEntries(
  ['readinessProbe', 'livenessProbe'].map((probe) => [probe, { exec: null, tcpSocket: { port: 'redis' } }]),
);

function modest(name: string, containers: Readonly<Record<string, readonly string[]>>, more: object = {}) {
  const resources = { requests: { cpu: '10m' } };
  const lists = Object.entries(containers).map(([list, names]) => [list, names.map((each) => ({ name: each, resources, ...more }))]);
  const spec = { template: { spec: Object.fromEntries(lists) } };
  return { patch: JSON.stringify({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: 'mcp-gateway' }, spec }) };
}

/** For the message of a failed test. */
async function whatIsThere(): Promise<string> {
  const told = await Promise.all(
    [
      kubectl(['get', 'pods', '-A', '-o', 'wide']),
      kubectl(['get', 'events', '-A', '--field-selector=type=Warning']),
      kubectl([
        'logs',
        '-n',
        'mcp-gateway',
        '-l',
        'app.kubernetes.io/name=mcp-gateway',
        '--all-containers',
        '--ignore-errors',
        '--tail=20',
        '--prefix',
      ]),
    ].map((each) => each.catch((error: Error) => error.message)),
  );
  return told.join('\n');
}

export const declare = (name: string, spec: object = {}, annotations: Readonly<Record<string, string>> = {}): Promise<string> =>
  kubectl.apply({
    apiVersion: 'mcpgateway.dev/v1alpha1',
    kind: 'MCPBackend',
    metadata: { name, namespace: 'mcp', annotations },
    spec: { image: COUNTER_IMAGE, resources: { requests: { cpu: '10m', memory: '32Mi' } }, ...spec },
  });

export const backend = (name: string): Promise<Seen> => kubectl.get(['mcpbackend', name, '-n', 'mcp']);

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export const conditionsOf = async (name: string): Promise<Readonly<Record<string, Condition>>> =>
  Object.fromEntries(
    (((await backend(name)).status?.['conditions'] ?? []) as readonly Condition[]).map((condition) => [condition.type, condition]),
  );

/** Those of a backend that do not have to go. */
export async function podsOf(name: string): Promise<readonly Seen[]> {
  const { items } = await kubectl.get<{ items: Seen[] }>(['pods', '-n', 'mcp', '-l', `mcpgateway.dev/backend=${name}`]);
  return items.filter(({ metadata }) => (metadata as { deletionTimestamp?: string }).deletionTimestamp === undefined);
}

/** All, also those that are on their way out. */
export const podNames = async (namespace: string, selector: string): Promise<string[]> =>
  (await kubectl(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'name']))
    .trim()
    .split('\n')
    .filter((name) => name !== '');

export const isReady = (pod: Seen): boolean =>
  (pod.status?.['conditions'] as readonly Condition[] | undefined)?.some(({ type, status }) => type === 'Ready' && status === 'True') ??
  false;

/** The server's, or the controller's. */
export function containerOf({ status }: Seen): { readonly containerID: string; readonly restartCount: number } {
  const [found] = (status?.['containerStatuses'] ?? []) as readonly { containerID: string; restartCount: number }[];
  if (!found) throw new Error('the pod has no container');
  return found;
}

/** Resolves with its pods when so many are ready and no others are left. */
export const untilReady = (name: string, replicas: number): Promise<readonly Seen[]> =>
  waitFor(
    `${replicas} ready pods of ${name}`,
    async () => {
      const [pods, all] = [await podsOf(name), await podNames('mcp', `mcpgateway.dev/backend=${name}`)];
      return pods.length === replicas && all.length === replicas && pods.every(isReady) && pods;
    },
    { timeoutMs: 150_000 },
  );
