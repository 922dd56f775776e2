// The node that the other tests rely on does what one in production does: it runs pods, probes them, and lets them go as their preStop hook says.

import { beforeAll, expect, inject, test } from 'vitest';
import { createKubectl } from '../cluster/kubectl.ts';
import { waitFor } from '../harness/wait-for.ts';
import { NODE_IMAGE } from './set-up.ts';

const namespace = 'node-test';
const kubectl = createKubectl(inject('cluster').kubeconfig);

/** Answers with its name; ready once `/be-ready` was asked; `/leave`, its preStop hook, holds until `/let-go` was asked. */
const SERVER = `
const { createServer } = require('node:http');
let ready = false, released = false, leaving = [];
createServer((request, response) => {
  if (request.url === '/be-ready') ready = true;
  if (request.url === '/let-go') (released = true) && leaving.forEach((end) => end());
  if (request.url === '/leave' && !released) return leaving.push(() => response.end());
  if (request.url === '/readyz' && !ready) response.statusCode = 503;
  response.end(process.env.POD_NAME);
}).listen(8000);
process.on('SIGTERM', () => process.exit(0));
`;

const deployment = (name: string, replicas: number) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 60,
        securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            name: 'server',
            image: NODE_IMAGE,
            imagePullPolicy: 'Never',
            args: ['-e', SERVER],
            env: [{ name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
            ports: [{ name: 'http', containerPort: 8000 }],
            readinessProbe: { httpGet: { path: '/readyz', port: 'http' }, periodSeconds: 1 },
            lifecycle: { preStop: { httpGet: { path: '/leave', port: 'http' } } },
            securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
          },
        ],
      },
    },
  },
});
const service = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
});

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly status: { readonly podIP?: string };
}
interface Slice {
  readonly endpoints?: readonly {
    readonly conditions: { readonly ready: boolean; readonly serving: boolean; readonly terminating: boolean };
    readonly targetRef: { readonly name: string };
  }[];
}

const podsOf = async (name: string): Promise<readonly Pod[]> =>
  (await kubectl.get<{ items: Pod[] }>(['pods', '-n', namespace, '-l', `app=${name}`])).items;
/** The conditions by which the data plane routes, by pod. */
const endpointsOf = async (name: string) => {
  const { items } = await kubectl.get<{ items: Slice[] }>(['endpointslices', '-n', namespace, '-l', `kubernetes.io/service-name=${name}`]);
  return new Map(items.flatMap(({ endpoints }) => endpoints ?? []).map(({ targetRef, conditions }) => [targetRef.name, conditions]));
};
const ask = async (host: string | undefined, path: string): Promise<string> =>
  (await fetch(`http://${host}${path}`, { headers: { connection: 'close' } })).text();

beforeAll(async () => {
  await kubectl(['create', 'namespace', namespace]);
  await kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
});

test('a pod gets an address, is ready when its probe says so, and leaves when its preStop hook has answered', async () => {
  await kubectl.apply([deployment('leaving', 1), service('leaving')]);
  const pod = await waitFor('the pod to run', async () => (await podsOf('leaving')).find(({ status }) => status.podIP !== undefined));
  const { name } = pod.metadata;
  const address = `${pod.status.podIP}:8000`;
  await waitFor('the server to answer', async () => (await ask(address, '/')) === name);
  expect((await endpointsOf('leaving')).get(name)).toMatchObject({ ready: false });
  await ask(address, '/be-ready');
  await waitFor('the endpoint to be ready', async () => (await endpointsOf('leaving')).get(name)?.ready);

  await kubectl(['scale', '-n', namespace, 'deployment/leaving', '--replicas=0']);
  const conditions = await waitFor('the endpoint to be on its way out', async () => {
    const now = (await endpointsOf('leaving')).get(name);
    return now?.terminating ? now : undefined;
  });
  expect(conditions).toMatchObject({ ready: false, serving: true, terminating: true });
  // The hook holds it: it serves on.
  expect(await ask(address, '/')).toBe(name);
  await ask(address, '/let-go');
  await waitFor('the pod to be gone', async () => (await podsOf('leaving')).length === 0);
  await waitFor('its endpoint to be gone', async () => !(await endpointsOf('leaving')).has(name));
});

test('a Service has an address that leads to its pods', async () => {
  await kubectl.apply([deployment('served', 2), service('served')]);
  const pods = await waitFor('two pods to run', async () => {
    const running = (await podsOf('served')).filter(({ status }) => status.podIP !== undefined);
    return running.length === 2 ? running : undefined;
  });
  for (const { status } of pods) await waitFor('a server to answer', () => ask(`${status.podIP}:8000`, '/be-ready'));
  await kubectl(['rollout', 'status', '-n', namespace, 'deployment/served', '--timeout=60s']);
  const { spec } = await kubectl.get(['service', 'served', '-n', namespace]);
  const seen = new Set<string>();
  await waitFor('both pods to be reached', async () => seen.add(await ask(String(spec?.['clusterIP']), '/')).size === 2);
  expect([...seen].toSorted()).toEqual(pods.map(({ metadata }) => metadata.name).toSorted());
});

test('logs, programs run in a container, and names of Services', async () => {
  const pod = (name: string, args: readonly string[]) => {
    const { spec } = deployment(name, 1).spec.template;
    const { name: container, image, imagePullPolicy, securityContext } = spec.containers[0] as (typeof spec.containers)[number];
    const containers = [{ name: container, image, imagePullPolicy, securityContext, args }];
    return {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels: { app: name } },
      spec: { ...spec, terminationGracePeriodSeconds: 0, containers },
    };
  };
  await kubectl.apply(pod('talker', ['-e', 'console.log("up"); setInterval(() => {}, 1000)']));
  await kubectl(['wait', '-n', namespace, 'pod/talker', '--for=condition=Ready', '--timeout=60s']);
  await expect.poll(() => kubectl(['logs', '-n', namespace, 'talker'])).toBe('up\n');
  const inPod = (program: string) => kubectl(['exec', '-n', namespace, 'talker', '--', '/usr/local/bin/node', '-e', program]);
  expect(await inPod('console.log(process.getuid())')).toBe('65532\n');

  const lookUp = (name: string) =>
    inPod(
      `require('node:dns').lookup('${name}', { all: true }, (error, found) => console.log(error?.code ?? found.map((one) => one.address).sort().join()))`,
    );
  const selector = { app: 'talker' };
  await kubectl.apply([
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'one', namespace }, spec: { selector, ports: [{ port: 80 }] } },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'each', namespace },
      spec: { selector, ports: [{ port: 80 }], clusterIP: 'None' },
    },
  ]);
  const { spec } = await kubectl.get(['service', 'one', '-n', namespace]);
  expect(await lookUp('one')).toBe(`${String(spec?.['clusterIP'])}\n`);
  expect(await lookUp(`one.${namespace}.svc.cluster.local`)).toBe(`${String(spec?.['clusterIP'])}\n`);
  const { status } = await kubectl.get(['pod', 'talker', '-n', namespace]);
  await expect.poll(() => lookUp(`each.${namespace}`), { timeout: 10_000 }).toBe(`${String(status?.['podIP'])}\n`);
  expect(await lookUp('nobody')).toBe('ENOTFOUND\n');
});
