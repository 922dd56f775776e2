// Three interfaces, one control plane: one table of refusals drives REST, the MCP tools and the command line, and all of them say the same.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, MAIN, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { serverBackend } from '../harness/resource.ts';
import { connectSdkClient } from '../harness/sdk-client.ts';
import { tenant } from '../harness/tenant.ts';
import { toolBin } from '../setup/tools.ts';

const folder = mkdtempSync(join(tmpdir(), 'interfaces-'));
let gateway: Gateway;
let issuer: TestIssuer;

beforeAll(async () => {
  issuer = await startIssuer();
  gateway = await startGateway({
    env: { ...issuer.env, MCP_GATEWAY_ALLOWED_IMAGES: 'npm:@acme/' },
    resources: [
      serverBackend('declared', 'counter-server', { replicas: 0 }),
      tenant('filed', { match: [{ issuer: issuer.issuer, claim: 'groups', values: ['filed'] }] }),
    ],
  });
});
afterAll(async () => {
  await gateway?.stop();
  await issuer?.stop();
  rmSync(folder, { recursive: true, force: true });
});

type Role = 'admin' | 'operator' | 'viewer' | 'nobody';
const tokenOf = (role: Role): string => issuer.token(role, { groups: ['filed'], ...(role !== 'nobody' && { roles: [`mcp.${role}`] }) });

/** What each of them says: REST its `detail`, a tool its first line, a command what follows its name. */
async function byRest(role: Role, line: string, body: unknown): Promise<string> {
  const [method = '', path = ''] = line.split(' ');
  const answer = await fetch(`${gateway.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${tokenOf(role)}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(answer.status).toBeLessThan(500);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  return ((await answer.json()) as { detail: string }).detail;
}

async function byTool(role: Role, name: string, args: Readonly<Record<string, unknown>>): Promise<string> {
  const { client, close } = await connectSdkClient(`${gateway.url}/admin/mcp`, { authorization: `Bearer ${tokenOf(role)}` });
  try {
    const { isError, content } = await client.callTool({ name, arguments: { ...args } });
    expect(isError).toBe(true);
    return ((content as { text: string }[])[0]?.text ?? '').split('\n')[0] ?? '';
  } finally {
    await close();
  }
}

function byCommand(role: Role, ...args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], HOME: folder, MCP_GATEWAY_URL: gateway.url, MCP_GATEWAY_TOKEN: tokenOf(role) };
    execFile(process.execPath, [MAIN, ...args], { env, timeout: 30_000 }, (error, stdout, stderr) => {
      expect([error?.code, stdout]).toEqual([1, '']);
      resolve(stderr.replace(/^mcp-gateway: /, '').trimEnd());
    });
  });
}

interface Registration {
  readonly name?: string;
  readonly image?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly path?: string;
}

describe('what one of them refuses, all of them refuse, in the same words', () => {
  test.each<[why: string, role: Role, registration: Registration, says: RegExp]>([
    ['a program of this machine', 'admin', { image: 'exec:/bin/sh' }, /^programs of this machine are declared in files only$/],
    ['a package of nobody’s', 'admin', { image: 'npm:evil@1.0.0' }, /^npm:evil is not among the images that may be registered by API/],
    ['a namespace that only begins the same', 'operator', { image: 'npm:@acme-evil/x@1.0.0' }, /^npm:@acme-evil\/x is not among/],
    ['a package in any version', 'operator', { image: 'npm:@acme/server' }, /^a package needs its exact version/],
    ['a package from a repository', 'operator', { image: 'npm:github:acme/server#v1' }, /^a package needs its exact version/],
    ['an image of nobody’s', 'operator', { image: 'ghcr.io/evil/x:1' }, /^ghcr\.io\/evil\/x is not among/],
    ['this machine', 'operator', { image: 'http://localhost:22/mcp' }, /^localhost is a loopback address/],
    ['a machine of this network', 'operator', { image: 'http://10.0.0.1/mcp' }, /^10\.0\.0\.1 is a private address/],
    ['the cloud’s own services', 'admin', { image: 'http://169.254.169.254/mcp' }, /^169\.254\.169\.254 is a link-local address/],
    [
      'a variable that loads code',
      'admin',
      { env: { NODE_OPTIONS: '-r /tmp/x.js' } },
      /^environmentVariables\.NODE_OPTIONS: .*changes which code/,
    ],
    [
      'a variable that loads code, by another way',
      'admin',
      { env: { PYTHONPATH: '/tmp' } },
      /^environmentVariables\.PYTHONPATH: may not be set/,
    ],
    ['a name that is none', 'operator', { name: 'Not_a-name' }, /^name: must start with a letter/],
    ['a name that files have', 'operator', { name: 'declared' }, /^there is a backend declared already/],
    ['a path that is none', 'operator', { path: 'mcp' }, /^path: must be a path that begins with/],
    ['whoever only looks', 'viewer', {}, /needs the role of an operator or administrator$/],
    ['whoever has no role', 'nobody', {}, /needs the role of an operator or administrator$/],
  ])('%s (%s)', async (_why, role, registration, says) => {
    const { name = 'fresh', image = 'npm:@acme/server@1.0.0', env, path } = registration;
    const variables = Object.entries(env ?? {}).flatMap(([key, value]) => ['--env', `${key}=${value}`]);
    const said = await Promise.all([
      byRest(role, 'POST /adapters', { name, image, environmentVariables: env, path }),
      byTool(role, 'register_backend', { name, image, env, path }),
      byCommand(role, 'backends', 'add', name, '--image', image, ...variables, ...(path === undefined ? [] : ['--path', path])),
    ]);
    expect(said[0]).toMatch(says);
    expect(said.slice(1)).toEqual([said[0], said[0]]);
    const known = await fetch(`${gateway.url}/adapters`, { headers: { authorization: `Bearer ${tokenOf('admin')}` } });
    expect(((await known.json()) as { name: string }[]).map((each) => each.name)).toEqual(['declared']);
  });

  test.each<[why: string, role: Role, tenantName: string, change: { requests: number; per: string }, says: RegExp]>([
    ['whoever only operates', 'operator', 'filed', { requests: 1, per: '1h' }, /^tenants are changed by administrators only$/],
    ['whoever has no role', 'nobody', 'filed', { requests: 1, per: '1h' }, /^tenants are changed by administrators only$/],
    [
      'what files declare',
      'admin',
      'filed',
      { requests: 1, per: '1h' },
      /^filed is declared in a file, tenant-filed\.yaml: change it there$/,
    ],
    ['nobody', 'admin', 'none', { requests: 1, per: '1h' }, /^there is no tenant none$/],
  ])('the quota of %s (%s)', async (_why, role, name, { requests, per }, says) => {
    const said = await Promise.all([
      byRest(role, `PATCH /tenants/${name}`, { quotas: [{ requests, per }] }),
      byTool(role, 'tenant_quota', { tenant_id: name, requests, per }),
      byCommand(role, 'tenants', 'set-quota', name, '--requests', String(requests), '--per', per),
    ]);
    expect(said[0]).toMatch(says);
    expect(said.slice(1)).toEqual([said[0], said[0]]);
  });

  test.each<[why: string, role: Role, given: { backend?: string; url?: string }, says: RegExp]>([
    ['whoever has no role', 'nobody', {}, /^values are made for viewers, operators and administrators only$/],
    ['a backend that is not there', 'viewer', { backend: 'none' }, /^there is no backend none$/],
    ['a URL that is none', 'admin', { url: 'mcp.example.com' }, /^publicUrl: must be a URL such as/],
  ])('values for %s (%s)', async (_why, role, { backend, url: publicUrl }, says) => {
    const backends = backend === undefined ? undefined : [{ name: backend }];
    const said = await Promise.all([
      byRest(role, 'POST /helm-values', { backends, publicUrl }),
      byTool(role, 'helm_values', { ...(backends && { backends }), ...(publicUrl && { public_url: publicUrl }) }),
      byCommand(role, 'values', ...(backend ? ['--backend', backend] : []), ...(publicUrl ? ['--public-url', publicUrl] : [])),
    ]);
    expect(said[0]).toMatch(says);
    expect(said.slice(1)).toEqual([said[0], said[0]]);
  });

  test('a time that is none', async () => {
    const change = { requests: 1, per: 'soon' };
    const said = await Promise.all([
      byRest('admin', 'PATCH /tenants/filed', { quotas: [change] }),
      byTool('admin', 'tenant_quota', { tenant_id: 'filed', ...change }),
      byCommand('admin', 'tenants', 'set-quota', 'filed', '--requests', '1', '--per', 'soon'),
    ]);
    // The tenant of a file is none of the API's business, whatever else is wrong.
    expect(new Set(said).size).toBe(1);
  });
});

describe('/admin/mcp', () => {
  const post = (headers: Readonly<Record<string, string>>, body = '{"jsonrpc":"2.0","id":1,"method":"ping"}') =>
    fetch(`${gateway.url}/admin/mcp`, { method: 'POST', headers: { accept: 'application/json, text/event-stream', ...headers }, body });
  const json = { 'content-type': 'application/json' };

  test('tells a client where to log in', async () => {
    const refused = await post(json);
    expect(refused.status).toBe(401);
    const [, document = ''] = /resource_metadata="([^"]+)"/.exec(refused.headers.get('www-authenticate') ?? '') ?? [];
    expect(document).toBe(`${gateway.url}/.well-known/oauth-protected-resource/admin/mcp`);
    expect(await (await fetch(document)).json()).toMatchObject({
      resource: `${gateway.url}/admin/mcp`,
      authorization_servers: [issuer.issuer],
    });
  });

  test('takes a token for its own URL, and none for a backend’s', async () => {
    const bearer = (aud: string) => issuer.bearer('ann', { aud, roles: ['mcp.viewer'] });
    expect((await post({ ...json, ...bearer(`${gateway.url}/admin/mcp`) })).status).toBe(200);
    expect((await post({ ...json, ...bearer(gateway.url) })).status).toBe(200);
    expect((await post({ ...json, ...bearer(`${gateway.url}/adapters/declared/mcp`) })).status).toBe(401);
  });

  test('is not for web pages, nor for what is no JSON', async () => {
    const good = { ...json, authorization: `Bearer ${tokenOf('admin')}` };
    expect((await post(good)).status).toBe(200);
    expect((await post({ ...good, origin: gateway.url })).status).toBe(403);
    expect((await post({ ...good, 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post(good, 'x'.repeat(2 * 1024 * 1024))).status).toBe(413);
    expect((await post(good, '{')).status).toBe(400);
  });

  test('serves the Inspector', async () => {
    const home = mkdtempSync(join(folder, 'inspector-'));
    const listed = await new Promise<unknown>((resolve, reject) => {
      const inspector = [
        toolBin('@modelcontextprotocol/inspector', 'inspector'),
        '--cli',
        `${gateway.url}/admin/mcp`,
        '--transport',
        'http',
      ];
      const args = [...inspector, '--header', `Authorization: Bearer ${tokenOf('viewer')}`, '--method', 'tools/list'];
      execFile(process.execPath, args, { env: { ...process.env, HOME: home }, timeout: 60_000 }, (error, stdout, stderr) =>
        error ? reject(new Error(`${error.message}\n${stderr}`)) : resolve(JSON.parse(stdout)),
      );
    });
    expect(listed).toMatchObject({
      tools: [{ name: 'list_backends' }, { name: 'register_backend' }, { name: 'tenant_quota' }, { name: 'helm_values' }],
    });
  });

  test('serves clients of 2026-07-28, too', async () => {
    const client = new ModernClient({ name: 'modern', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    const headers = { authorization: `Bearer ${tokenOf('viewer')}` };
    await client.connect(new ModernTransport(new URL(`${gateway.url}/admin/mcp`), { requestInit: { headers } }));
    const { structuredContent } = await client.callTool({ name: 'list_backends', arguments: {} });
    expect(structuredContent).toMatchObject({ backends: [{ name: 'declared', health: 'stopped' }] });
    await client.close();
  });
});
