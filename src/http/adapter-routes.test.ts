// Adapters in the words of Microsoft's gateway, and where an image's version begins.

import { expect, test } from 'vitest';
import type { BackendControl, BackendView } from '../control/backends.ts';
import { adapterRoutes } from './adapter-routes.ts';

const view = (image: string): BackendView => ({
  name: 'one',
  image,
  health: 'degraded',
  message: '1 of 2 ready',
  replicas: { desired: 2, ready: 1, updated: 0 },
  sessions: null,
  url: 'http://127.0.0.1:8080/adapters/one/mcp',
  affinity: 'session',
  transport: 'streamable-http',
  access: { tenants: [], roles: ['dev'], scopes: [], toolScopes: {}, tools: { allow: ['*'], deny: [] } },
  sessionRules: { recovery: 'reinitialize', idleTimeout: '30m', maxAge: '30d' },
  args: [],
  env: [{ name: 'TOKEN', from: 'value' }],
  creator: 'https://login.example.com/ ann',
  source: '/one.yaml',
  instances: [],
});

async function ask(path: string, backends: Partial<BackendControl>, method = 'GET') {
  const route = adapterRoutes(backends as BackendControl, { issuer: 'local', subject: 'x' }).find((each) => each.path.test(path));
  const [, name = ''] = route?.path.exec(path) ?? [];
  const { status, body } = (await route?.methods[method]?.(new URLSearchParams(), name, new AbortController().signal)) ?? {};
  return { status, body: JSON.parse(String(body)) };
}

test.each([
  ['ghcr.io/github/github-mcp-server:0.9', 'ghcr.io/github/github-mcp-server', '0.9'],
  ['localhost:5000/server', 'localhost:5000/server', ''],
  ['localhost:5000/server:1', 'localhost:5000/server', '1'],
  ['server@sha256:abc', 'server', 'sha256:abc'],
  ['npm:@scope/pkg@1.2.3', 'npm:@scope/pkg', '1.2.3'],
  ['npm:@scope/pkg', 'npm:@scope/pkg', ''],
  ['npm:pkg@1.2.3', 'npm:pkg', '1.2.3'],
  ['pypi:pkg==1.2.3', 'pypi:pkg', '1.2.3'],
  ['exec:server', 'exec:server', ''],
  ['https://mcp.example.com:8443/mcp', 'https://mcp.example.com:8443/mcp', ''],
])('%s is %s in version %j', async (image, imageName, imageVersion) => {
  const { body } = await ask('/adapters/one', { get: async () => view(image) });
  expect([body.imageName, body.imageVersion]).toEqual([imageName, imageVersion]);
});

test('an adapter has the fields of Microsoft’s, and no value of a variable', async () => {
  const { status, body } = await ask('/adapters/one', { get: async () => view('a:1') });
  expect(status).toBe(200);
  expect(body).toMatchObject({
    ...{ id: 'one', name: 'one', imageName: 'a', imageVersion: '1', replicaCount: 2, requiredRoles: ['dev'] },
    ...{ environmentVariables: {}, createdBy: 'https://login.example.com/ ann', health: 'degraded' },
  });
});

test('its status counts what is ready', async () => {
  const { body } = await ask('/adapters/one/status', { get: async () => view('a:1') });
  expect(body).toMatchObject({ readyReplicas: 1, availableReplicas: 1, updatedReplicas: 0, image: 'a:1', replicaStatus: 'degraded' });
});

test.each([
  ['restarting', 202],
  ['unknown', 404],
  ['elsewhere', 409],
  ['refused', 409],
] as const)('a restart that is %s is answered %i', async (outcome, status) => {
  expect((await ask('/adapters/one/restart', { restart: () => outcome }, 'POST')).status).toBe(status);
});
