// The values file that tool and command write: the real Helm takes it, and a real API server takes what becomes of it.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { stringify } from 'yaml';
import { type Gateway, MAIN, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { backend } from '../harness/resource.ts';
import { connectSdkClient, type SdkClient } from '../harness/sdk-client.ts';
import { tenant } from '../harness/tenant.ts';
import { startControllerProcess } from './controller-process.ts';
import { helm } from './helm.ts';
import { startInstalled } from './installed.ts';
import { createKubectl } from './kubectl.ts';
import { CHART, charted, isFirst, type Manifest } from './renderings.ts';

const SECRET = 'hunter2-is-no-password';
const folder = mkdtempSync(join(tmpdir(), 'values-'));
const kubectl = createKubectl(inject('apiServer').kubeconfig);
let issuer: TestIssuer;
let gateway: Gateway;
let admin: SdkClient;

const image = 'ghcr.io/acme/server:1';
/** Everything that a spec may say, and text that YAML could take for something else. */
const specs = {
  github: {
    ...{
      image,
      args: ['on', 'no', '0777', '1e3', '12:30', '~', '# x', '$(PORT)', '<<', '2026-01-01', 'ü "\'\n'],
      path: '/x',
      port: 9000,
      replicas: 0,
    },
    env: [
      { name: 'TOKEN', value: SECRET },
      { name: 'KEY', valueFrom: { secretKeyRef: { name: 'shared', key: 'key' } } },
      { name: 'BIND', value: ':$(PORT)' },
    ],
    ...{
      resources: { requests: { cpu: '500m', memory: '256Mi' }, limits: { memory: '1Gi' } },
      storage: { size: '5Gi' },
      healthCheck: { path: '/up' },
    },
    sessions: { recovery: 'fail', idleTimeout: '90s', maxAge: '7d' },
    scaling: { toZeroAfter: '15m', startTimeout: '2m', max: 4, sessionsPerReplica: 20 },
    access: {
      tenants: ['engineering'],
      roles: ['dev'],
      scopes: ['mcp'],
      toolScopes: { 'delete_*': ['mcp:write'] },
      tools: { deny: ['*x*'] },
    },
    trustToolHints: true,
  },
  stdio: { image: 'npm:@acme/server@1.2.3', transport: 'stdio', healthCheck: { type: 'mcp' }, replicas: 0, access: {} },
  remote: {
    url: 'https://mcp.example.com/mcp',
    ...{
      affinity: 'none',
      upstreamAuth: { header: 'Authorization', prefix: 'Bearer ', valueFrom: { secretKeyRef: { name: 'remote', key: 'token' } } },
    },
  },
  here: { image: 'exec:/bin/false', replicas: 0 },
  engineering: {
    ...{ priority: -5, match: [{ issuer: 'https://login.example.com/', claim: 'groups', values: ['eng', 'yes'] }], onOutage: 'deny' },
    quotas: [
      { requests: 5_000_000, per: '1h' },
      { requests: 60, per: '1m', scope: 'subject', backend: 'github', tool: 'search_*', countAll: true },
    ],
    ...{ limits: { sessions: 200, concurrentRequests: 50 }, audit: { arguments: true }, tools: { allow: ['*'], deny: ['*delete*'] } },
  },
};
const { engineering, ...backends } = specs;
const resources = [...Object.entries(backends).map(([name, spec]) => backend(name, spec)), tenant('engineering', engineering)];

beforeAll(async () => {
  issuer = await startIssuer();
  gateway = await startGateway({ env: { ...issuer.env, MCP_GATEWAY_ADMIN_ROLES: 'boss,mcp.admin' }, resources });
  admin = await connectSdkClient(`${gateway.url}/admin/mcp`, issuer.bearer('root', { roles: ['mcp.admin'] }));
}, 120_000);
afterAll(async () => {
  await admin?.close();
  await gateway?.stop();
  await issuer?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Made {
  readonly values: string;
  readonly command: string;
  readonly secrets: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly keys: readonly string[];
    readonly command: string;
  }[];
  readonly notes: readonly string[];
}

async function byTool(args: Readonly<Record<string, unknown>>): Promise<Made> {
  const { isError, content, structuredContent } = await admin.client.callTool({ name: 'helm_values', arguments: { ...args } });
  if (isError) throw new Error(JSON.stringify(content));
  return structuredContent as unknown as Made;
}

function byCommand(...args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const env = {
    PATH: process.env['PATH'],
    HOME: folder,
    MCP_GATEWAY_URL: gateway.url,
    MCP_GATEWAY_TOKEN: issuer.token('root', { roles: ['mcp.admin'] }),
  };
  return promisify(execFile)(process.execPath, [MAIN, 'values', ...args], { env });
}

/** Linted, rendered, and taken by the API server under strict validation. @returns what was rendered */
async function install(values: string): Promise<Manifest[]> {
  const file = join(folder, 'values.yaml');
  writeFileSync(file, values);
  expect(await helm(['lint', '--strict', CHART, '--values', file])).toContain('0 chart(s) failed');
  const manifests = [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'mcp-gateway' } }, ...(await charted(values))];
  await kubectl.apply(manifests.filter(isFirst));
  await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
  await kubectl.apply(manifests, ['--dry-run=server']);
  return manifests;
}

test('what a gateway has declared', { timeout: 120_000 }, async () => {
  const made = await byTool({ public_url: 'https://mcp.example.com', replicas: 2 });
  const manifests = await install(made.values);
  const specOf = (kind: string, name: string): unknown =>
    manifests.find((each) => each.kind === kind && each.metadata.name === name)?.['spec'];

  // What is declared arrives as it was written, but for what must not be written.
  expect(specOf('MCPBackend', 'github')).toEqual({
    ...specs.github,
    env: [
      { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'github', key: 'TOKEN' } } },
      { name: 'KEY', valueFrom: { secretKeyRef: { name: 'shared', key: 'key' } } },
      { name: 'BIND', value: ':$(PORT)' },
    ],
  });
  expect(specOf('MCPBackend', 'stdio')).toEqual(specs.stdio);
  expect(specOf('MCPBackend', 'remote')).toEqual(specs.remote);
  expect(specOf('MCPBackend', 'here')).toBeUndefined();
  expect(specOf('MCPTenant', 'engineering')).toEqual({ ...engineering, tools: { deny: ['*delete*'] } });
  const config = manifests.find(({ kind }) => kind === 'ConfigMap')?.['data']['gateway.yaml'] as string;
  writeFileSync(join(folder, 'gateway.yaml'), config);
  const printed = await promisify(execFile)(process.execPath, [MAIN, 'config', 'check', '--config', join(folder, 'gateway.yaml')]);
  expect(printed.stdout + printed.stderr).toContain('the settings are valid');
  expect(config).toContain('- boss');

  expect(JSON.stringify(made)).not.toContain(SECRET);
  for (const { command } of made.secrets) await kubectl([...command.replaceAll("'", '').split(' ').slice(1), '--dry-run=server']);
  expect(made.secrets.map(({ namespace, name }) => `${namespace}/${name}`)).toEqual([
    ...['mcp-gateway/mcp-gateway-redis', 'mcp-gateway/remote', 'mcp/github', 'mcp/shared'],
  ]);
});

test('the command writes the same, to a file or to standard output', { timeout: 120_000 }, async () => {
  const { values } = await byTool({ public_url: 'https://mcp.example.com' });
  const { stdout, stderr } = await byCommand('--public-url', 'https://mcp.example.com');
  expect(stdout).toBe(values);
  expect(stderr).toMatch(/^install it: helm upgrade --install mcp-gateway k8s\/chart .* --values values\.yaml\n/);
  const file = join(folder, 'written.yaml');
  const written = await byCommand('--public-url', 'https://mcp.example.com', '--out', file);
  expect(readFileSync(file, 'utf8')).toBe(values);
  expect(written).toEqual({ stdout: '', stderr: stderr.replace('values.yaml', file) });
  const { stdout: json } = await byCommand('--public-url', 'https://mcp.example.com', '--json');
  expect(JSON.parse(json)).toEqual(await byTool({ public_url: 'https://mcp.example.com' }));
});

test('an Entra issuer, and backends and tenants that are nowhere yet', { timeout: 120_000 }, async () => {
  const entra = {
    issuer: 'https://login.microsoftonline.com/8b7f4c5e-0000-0000-0000-000000000000/v2.0',
    preset: 'entra',
    audiences: ['gateway'],
  };
  const asked = {
    ...{ issuers: [entra], public_url: 'https://mcp.acme.com' },
    backends: [
      ...['github', 'jira', 'snowflake'].map((name) => ({
        name,
        image: `ghcr.io/acme/${name}:1.0`,
        tenants: ['engineering'],
        env: { TOKEN: SECRET },
      })),
    ],
    tenants: [
      { name: 'engineering', match: [{ issuer: entra.issuer, claim: 'groups', values: ['eng'] }], quotas: [{ requests: 1000, per: '1h' }] },
    ],
  };
  const made = await byTool(asked);
  const manifests = await install(made.values);
  expect(manifests.filter(({ kind }) => kind === 'MCPBackend').map(({ metadata }) => metadata.name)).toEqual([
    'github',
    'jira',
    'snowflake',
  ]);
  expect(JSON.stringify(made)).not.toContain(SECRET);

  // From a file, as the REST interface takes it, without a gateway.
  const request = join(folder, 'request.yaml');
  const backends = asked.backends.map(({ tenants, env: environmentVariables, ...same }) => ({
    ...same,
    access: { tenants },
    environmentVariables,
  }));
  writeFileSync(request, stringify({ issuers: [entra], publicUrl: asked.public_url, backends, tenants: asked.tenants }));
  const empty = mkdtempSync(join(folder, 'empty-'));
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, 'values', '--resources', empty, '--from', request], {
    env: { HOME: empty },
  });
  const settingsOnly = /^settings:\n( {2}.*\n)+/m;
  expect(stdout).toBe(made.values.replace(settingsOnly, ''));
});

test('nothing at all', { timeout: 60_000 }, async () => {
  const made = await byTool({ issuers: [], backends: [], tenants: [] });
  const manifests = await install(made.values);
  expect(manifests.some(({ apiVersion }) => apiVersion.startsWith('mcpgateway.dev/'))).toBe(false);
});

test('what custom resources declare, asked of the controller', { timeout: 120_000 }, async () => {
  const installed = await startInstalled();
  try {
    const metadata = { name: 'github', namespace: 'mcp' };
    await installed.server.kubectl.apply({ apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend', metadata, spec: specs.github });
    const controller = await startControllerProcess(installed);
    try {
      const secret = await installed.server.kubectl.get(['secret', 'mcp-gateway-token', '-n', 'mcp-gateway']);
      const token = Buffer.from(secret.data?.['token'] ?? '', 'base64').toString();
      const answer = await fetch(`${controller.url}/helm-values`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: '{}',
      });
      expect(answer.status).toBe(200);
      const { values } = (await answer.json()) as Made;
      expect(values).not.toContain(SECRET);
      const rendered = (await charted(values)).find(({ kind }) => kind === 'MCPBackend');
      expect(rendered).toMatchObject({
        metadata,
        spec: { args: specs.github.args, sessions: specs.github.sessions, storage: { size: '5Gi' } },
      });
    } finally {
      await controller.stop();
    }
  } finally {
    await installed.close();
  }
});
