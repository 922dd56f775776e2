// The API server that the other tests rely on does what one in production does: schemas, rights, tokens, and data that outlive a crash.

import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type ApiServer, startApiServer } from './api-server.ts';
import { helm } from './helm.ts';
import { createKubectl, type Kubectl } from './kubectl.ts';

const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'lamps.test.example' },
  spec: {
    group: 'test.example',
    scope: 'Namespaced',
    names: { plural: 'lamps', singular: 'lamp', kind: 'Lamp' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: { on: { type: 'boolean' }, watts: { type: 'integer' } },
                'x-kubernetes-validations': [{ rule: '!self.on || self.watts > 0', message: 'a lamp that is on needs watts' }],
              },
            },
          },
        },
      },
    ],
  },
};
const lamp = (name: string, spec: object) => ({
  apiVersion: 'test.example/v1',
  kind: 'Lamp',
  metadata: { name, namespace: 'lamps' },
  spec,
});

let server: ApiServer;
beforeAll(async () => {
  server = await startApiServer({ controllers: ['garbage-collector-controller', 'namespace-controller'] });
  await server.kubectl(['create', 'namespace', 'lamps']);
  await server.kubectl.apply(crd);
  await server.kubectl(['wait', '--for=condition=Established', 'crd/lamps.test.example', '--timeout=30s']);
});
afterAll(() => server?.stop());

test('custom resources: applied by the server, their rules kept, unknown fields refused', async () => {
  expect(await server.kubectl.apply(lamp('desk', { on: true, watts: 5 }))).toContain('desk serverside-applied');
  expect(await server.kubectl.get(['lamp', 'desk', '-n', 'lamps'])).toMatchObject({ spec: { on: true, watts: 5 } });
  await expect(server.kubectl.apply(lamp('dark', { on: true, watts: 0 }))).rejects.toThrow('a lamp that is on needs watts');
  await expect(server.kubectl.apply(lamp('desk', { on: true, wats: 5 }))).rejects.toThrow('.spec.wats: field not declared in schema');
});

test('rights: an account has none until it is bound to a role, and nobody is let in without a token', async () => {
  const low = createKubectl(await server.kubeconfigOf('low', 'lamps'));
  await expect(low(['get', 'lamps', '-n', 'lamps'])).rejects.toThrow('cannot list resource "lamps"');
  await server.kubectl(['create', 'role', 'see', '-n', 'lamps', '--verb=list', '--resource=lamps.test.example']);
  await server.kubectl(['create', 'rolebinding', 'see', '-n', 'lamps', '--role=see', '--serviceaccount=lamps:low']);
  await expect.poll(() => low(['get', 'lamps', '-n', 'lamps']), { timeout: 10_000 }).toContain('desk');
  await expect(low(['delete', 'lamp', 'desk', '-n', 'lamps'])).rejects.toThrow('cannot delete resource "lamps"');
  const { status } = await fetchAs('/api');
  expect(status).toBe(401);
  expect((await fetchAs('/readyz')).status).toBe(200);
});

test('a token counts for its audience', async () => {
  const token = await server.tokenOf('pod', 'lamps', 'my-service');
  const review = async (audience: string) => {
    const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences: [audience] } };
    const answer = await server.kubectl(['create', '-f', '-', '-o', 'json'], { input: asked });
    return (JSON.parse(answer) as { status: { authenticated?: boolean; user?: { username?: string } } }).status;
  };
  expect(await review('my-service')).toMatchObject({ authenticated: true, user: { username: 'system:serviceaccount:lamps:pod' } });
  expect((await review('another')).authenticated).not.toBe(true);
  expect((await fetchAs('/api', token)).status).toBe(401);
});

test('what is killed and started again has its data', async () => {
  const before = await server.kubectl.get(['lamp', 'desk', '-n', 'lamps']);
  await server.kill();
  await expect(fetchAs('/readyz')).rejects.toThrow('ECONNREFUSED');
  await server.start();
  expect(await server.kubectl.get(['lamp', 'desk', '-n', 'lamps'])).toEqual(before);
});

test('the controllers that were asked for run: what is owned goes with its owner, and a namespace with all that is in it', async () => {
  // Custom resources would do, but the collector looks for new kinds of them only twice a minute.
  const metadata = { name: 'lamp', namespace: 'lamps' };
  await server.kubectl.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata });
  const { uid } = (await server.kubectl.get(['configmap', 'lamp', '-n', 'lamps'])).metadata;
  const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'lamp', uid }];
  await server.kubectl.apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'shade', namespace: 'lamps', ownerReferences } });
  await server.kubectl(['delete', 'configmap', 'lamp', '-n', 'lamps']);
  await expect.poll(() => server.kubectl(['get', 'configmap', '-n', 'lamps', '-o', 'name']), { timeout: 60_000 }).not.toContain('shade');
  await server.kubectl(['delete', 'namespace', 'lamps', '--timeout=50s']);
  await expect(server.kubectl(['get', 'namespace', 'lamps'])).rejects.toThrow('not found');
});

test('the shared one, and helm', async () => {
  const { kubeconfig } = inject('apiServer');
  const kubectl: Kubectl = createKubectl(kubeconfig);
  await kubectl(['create', 'namespace', 'api-server-test']);
  expect(await kubectl(['auth', 'can-i', '*', '*'])).toContain('yes');
  expect(await helm(['list', '-n', 'api-server-test'], { kubeconfig })).toContain('NAME');
  await expect(helm(['status', 'nothing', '-n', 'api-server-test'], { kubeconfig })).rejects.toThrow('not found');
});

const fetchAs = async (path: string, token?: string): Promise<{ status: number }> => {
  const { request } = await import('node:https');
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const asked = request(`${server.url}${path}`, { ca: server.ca, headers, agent: false }, (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode ?? 0 });
    });
    asked.once('error', reject).end();
  });
};
