// Adapters in the words of Microsoft's gateway, and where an image's version begins.

import { expect, test } from 'vitest';
import { actorOf } from '../../test/fakes/control.ts';
import type { BackendView } from '../control/backend-view.ts';
import type { BackendControl } from '../control/backends.ts';
import { adapterOperations } from './adapter-operations.ts';
import { adapter, adapterStatus } from './schemas.ts';

const view = (image: string): BackendView => ({
  name: 'one',
  image,
  description: '',
  health: 'degraded',
  message: '1 of 2 ready',
  replicas: { desired: 2, ready: 1, updated: 0 },
  sessions: null,
  url: 'http://127.0.0.1:8080/adapters/one/mcp',
  affinity: 'session',
  transport: 'streamable-http',
  port: 8000,
  path: '/mcp',
  healthCheck: null,
  scaling: { startTimeout: '45s' },
  resources: null,
  storage: null,
  trustToolHints: false,
  upstreamAuth: null,
  createdAt: null,
  lastUpdatedAt: null,
  revision: 'r1',
  access: { tenants: [], roles: ['dev'], scopes: [], toolScopes: {}, tools: { allow: ['*'], deny: [] } },
  sessionRules: { recovery: 'reinitialize', idleTimeout: '30m', maxAge: '30d' },
  args: [],
  env: [{ name: 'TOKEN', from: 'value' }],
  creator: 'https://login.example.com/ ann',
  source: '/one.yaml',
  instances: [],
});

async function ask(path: string, backends: Partial<BackendControl>) {
  const found = adapterOperations(backends as BackendControl).find((each) => each.method === 'GET' && each.path === path);
  const { status, headers, body } = (await found?.handle({
    ...{ query: {}, name: 'one', actor: actorOf('viewer'), body: undefined, expected: undefined, wantsEvents: false },
    signal: new AbortController().signal,
  })) ?? { status: 0, headers: {}, body: '' };
  return { status, headers, body: JSON.parse(String(body)) };
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
  const { body } = await ask('/adapters/{name}', { get: async () => view(image) });
  expect([body.imageName, body.imageVersion]).toEqual([imageName, imageVersion]);
});

test('an adapter has the fields of Microsoft’s, and no value of a variable', async () => {
  const { status, headers, body } = await ask('/adapters/{name}', { get: async () => view('a:1') });
  expect([status, headers['etag']]).toEqual([200, '"r1"']);
  expect(adapter.strict().safeParse(body).error?.issues).toBeUndefined();
  expect(body).toMatchObject({
    ...{ id: 'one', name: 'one', imageName: 'a', imageVersion: '1', replicaCount: 2, requiredRoles: ['dev'] },
    ...{ environmentVariables: { TOKEN: null }, createdBy: 'https://login.example.com/ ann', health: 'degraded' },
  });
});

test('its status counts what is ready', async () => {
  const { body } = await ask('/adapters/{name}/status', { get: async () => view('a:1') });
  expect(adapterStatus.strict().safeParse(body).error?.issues).toBeUndefined();
  expect(body).toMatchObject({ readyReplicas: 1, availableReplicas: 1, updatedReplicas: 0, image: 'a:1', replicaStatus: 'degraded' });
});
