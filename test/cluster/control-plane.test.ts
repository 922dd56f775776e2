// The controller as a process on a real API server: REST over custom resources, what pods may ask it, keys, scale to zero and back.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { DEPLOYMENTS } from '../../src/runtime/k8s/controller/kinds.ts';
import { type KubeObject, type KubeResource, MCP_BACKENDS, MCP_TENANTS } from '../../src/runtime/k8s/objects.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type ControllerProcess, startControllerProcess } from './controller-process.ts';
import { type Installed, startInstalled } from './installed.ts';

const SECRETS: KubeResource = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };
type Secret = KubeObject & { data: Record<string, string> };
type Seen = KubeObject & { readonly spec: Record<string, unknown>; readonly status?: Record<string, unknown> };

let installed: Installed;
let controller: ControllerProcess;
let token: string;

const secret = (name: string, namespace = 'mcp') => installed.api.get<Secret>(SECRETS, name, namespace);
const get = (kind: KubeResource, name: string) => installed.api.get<Seen>(kind, name, 'mcp');
const rest = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
  const answer = await fetch(controller.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  // biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary fields.
  return { status: answer.status, headers: answer.headers, body: (text === '' ? undefined : JSON.parse(text)) as any };
};

beforeAll(async () => {
  installed = await startInstalled();
  controller = await startControllerProcess(installed, { settings: { allowedImages: ['ghcr.io/acme/'], drainIdleMs: 1_000 } });
  token = Buffer.from((await secret('mcp-gateway-token', 'mcp-gateway'))?.data['token'] ?? '', 'base64').toString();
});
afterAll(async () => {
  await controller?.stop();
  await installed?.close();
});

test('keys and token are made once, and a second controller takes what is there', async () => {
  const before = await secret('mcp-gateway-keys', 'mcp-gateway');
  expect(JSON.parse(Buffer.from(before?.data['keys.json'] ?? '', 'base64').toString()).keys).toHaveLength(1);
  const second = await startControllerProcess(installed, { name: 'second' });
  await second.stop();
  expect((await secret('mcp-gateway-keys', 'mcp-gateway'))?.data).toEqual(before?.data);
});

test('what is registered by API is a custom resource, its values a Secret, and it runs', async () => {
  const body = {
    name: 'weather',
    image: 'ghcr.io/acme/weather:1.2',
    environmentVariables: { API_KEY: 'hidden', MODE: 'fast' },
    replicaCount: 2,
  };
  const created = await rest('POST', '/adapters', body);
  expect(created.status).toBe(201);
  const object = await get(MCP_BACKENDS, 'weather');
  expect(object?.metadata.annotations?.['mcpgateway.dev/created-by']).toBe('local control-token');
  expect(JSON.stringify(object)).not.toContain('hidden');
  expect(object?.spec['env']).toEqual([
    { name: 'API_KEY', valueFrom: { secretKeyRef: { name: 'weather-env', key: 'API_KEY' } } },
    { name: 'MODE', valueFrom: { secretKeyRef: { name: 'weather-env', key: 'MODE' } } },
  ]);
  const values = await secret('weather-env');
  expect(Buffer.from(values?.data['API_KEY'] ?? '', 'base64').toString()).toBe('hidden');
  expect(values?.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'MCPBackend', name: 'weather', uid: object?.metadata.uid });
  const deployment = await waitFor('its Deployment', () => get(DEPLOYMENTS, 'weather'));
  expect(deployment.spec).toMatchObject({ replicas: 2, template: { spec: { automountServiceAccountToken: false } } });
  const shown = await rest('GET', '/adapters/weather');
  expect(shown.body).toMatchObject({
    name: 'weather',
    replicaCount: 2,
    environmentVariables: { API_KEY: null, MODE: null },
    source: 'api',
  });
});

test('a change by API keeps the values that are not given, drops the others, and respects what others have changed', async () => {
  const { body, headers } = await rest('GET', '/adapters/weather');
  const change = { image: 'ghcr.io/acme/weather:1.3', environmentVariables: { API_KEY: null }, replicaCount: 1 };
  const stale = await rest('PUT', '/adapters/weather', change, { 'if-match': '"another"' });
  expect(stale.status).toBe(412);
  const changed = await rest('PUT', '/adapters/weather', change, { 'if-match': headers.get('etag') ?? '' });
  expect([changed.status, changed.body.image]).toEqual([200, 'ghcr.io/acme/weather:1.3']);
  expect(changed.body.revision).not.toBe(body.revision);
  expect(Object.keys((await secret('weather-env'))?.data ?? {})).toEqual(['API_KEY']);
  await waitFor('the Deployment to follow', async () => (await get(DEPLOYMENTS, 'weather'))?.spec['replicas'] === 1);
});

test('an image that is not allowed, a foreign name, and what kubectl made are not for the API', async () => {
  expect((await rest('POST', '/adapters', { name: 'evil', image: 'ghcr.io/evil/x:1' })).status).toBe(403);
  await installed.api.create(MCP_BACKENDS, { metadata: { name: 'by-hand', namespace: 'mcp' }, spec: { image: 'ghcr.io/other/x:1' } });
  const shown = await waitFor('it to be listed', async () => {
    const { body } = await rest('GET', '/adapters');
    return (body.adapters ?? body.items ?? body).find?.(({ name }: { name: string }) => name === 'by-hand');
  });
  expect(shown).toMatchObject({ image: 'ghcr.io/other/x:1' });
  const refused = await rest('PUT', '/adapters/by-hand', { image: 'ghcr.io/acme/x:2' });
  expect([refused.status, refused.body.detail]).toEqual([409, 'by-hand was made with kubectl or a chart: change it there']);
  expect((await rest('POST', '/adapters', { name: 'by-hand', image: 'ghcr.io/acme/x:2' })).status).toBe(409);
  expect((await rest('DELETE', '/adapters/by-hand')).status).toBe(409);
  await installed.api.delete(MCP_BACKENDS, 'by-hand', 'mcp');
});

test('restart replaces the pods; tenants are custom resources; removing removes', async () => {
  const before = JSON.stringify((await get(DEPLOYMENTS, 'weather'))?.spec['template']);
  expect((await rest('POST', '/adapters/weather/restart')).status).toBe(202);
  await waitFor('another template', async () => JSON.stringify((await get(DEPLOYMENTS, 'weather'))?.spec['template']) !== before);
  const tenant = await rest('POST', '/tenants', { name: 'engineering', quotas: [{ requests: 1000, per: '1h' }] });
  expect(tenant.status).toBe(201);
  expect((await get(MCP_TENANTS, 'engineering'))?.spec).toMatchObject({ quotas: [{ requests: 1000, per: '1h' }] });
  expect((await rest('DELETE', '/tenants/engineering')).status).toBe(204);
  expect((await rest('DELETE', '/adapters/weather')).status).toBe(204);
  await waitFor('the resource to be gone', async () => (await get(MCP_BACKENDS, 'weather')) === undefined);
  expect((await rest('GET', '/adapters/weather')).status).toBe(404);
});

test('who has no token, or another’s, is told nothing', async () => {
  const ask = async (path: string, bearer: string | undefined, method = 'POST', body: unknown = { backend: 'x' }) =>
    (
      await fetch(controller.url + path, {
        method,
        headers: { 'content-type': 'application/json', ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }) },
        ...(method === 'POST' && { body: JSON.stringify(body) }),
      })
    ).status;
  const { tokenOf } = installed.server;
  const gateway = await tokenOf('mcp-gateway', 'mcp-gateway', 'mcp-gateway-controller');
  const otherAudience = await tokenOf('mcp-gateway', 'mcp-gateway');
  const stranger = await tokenOf('stranger', 'mcp', 'mcp-gateway-controller');
  expect(await ask('/internal/wake', undefined)).toBe(401);
  expect(await ask('/internal/wake', 'nonsense')).toBe(401);
  expect(await ask('/internal/wake', otherAudience)).toBe(401);
  expect(await ask('/internal/wake', stranger)).toBe(403);
  expect(await ask('/internal/wake', gateway)).toBe(202);
  expect(await ask('/internal/wake', gateway, 'POST', { backend: '../x' })).toBe(400);
  expect(await ask('/internal/sessions', stranger)).toBe(403);
  expect(await ask('/internal/drain/11111111-1111-1111-1111-111111111111', stranger, 'GET')).toBe(403);
  expect(await ask('/adapters', gateway, 'GET')).toBe(401);
});

test('nobody uses it: no pods; somebody waits: they come back, asked for once', async () => {
  const gateway = await installed.server.tokenOf('mcp-gateway', 'mcp-gateway', 'mcp-gateway-controller');
  const tell = (path: string, body: unknown) =>
    fetch(controller.url + path, { method: 'POST', headers: { authorization: `Bearer ${gateway}` }, body: JSON.stringify(body) });
  const spec = { image: 'ghcr.io/acme/sleepy:1', scaling: { toZeroAfter: '2s', startTimeout: '1s' } };
  await installed.api.create(MCP_BACKENDS, { metadata: { name: 'sleepy', namespace: 'mcp' }, spec });
  const replicas = async (): Promise<unknown> => (await get(DEPLOYMENTS, 'sleepy'))?.spec['replicas'];
  await waitFor('its Deployment', async () => (await replicas()) === 1);
  // Without a gateway that is heard nobody can say that it is not used.
  await waitFor(
    'its pods to be let go',
    async () => {
      await tell('/internal/sessions', { gateway: 'g', instances: {}, backends: { sleepy: { idleMs: 60_000, requests: 0 } } });
      return (await replicas()) === 0;
    },
    { timeoutMs: 40_000 },
  );
  await waitFor('its status to say so', async () => JSON.stringify((await get(MCP_BACKENDS, 'sleepy'))?.status).includes('ScaledToZero'));
  await Promise.all(Array.from({ length: 20 }, () => tell('/internal/wake', { backend: 'sleepy' })));
  await waitFor('its pods to come back', async () => (await replicas()) === 1);
  await installed.api.delete(MCP_BACKENDS, 'sleepy', 'mcp');
});
