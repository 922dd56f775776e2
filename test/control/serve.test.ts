// `mcp-gateway serve` as MCP clients start it: it starts a gateway where none runs, administers it, and leaves nothing behind.

import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readAnnouncement } from '../../src/app/announcement.ts';
import { type Gateway, MAIN, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { openSession } from '../harness/mcp-http.ts';
import { descendantsOf, survivors } from '../harness/processes.ts';
import { serverBackend } from '../harness/resource.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { type StdioClient, startStdioClient } from '../harness/stdio-client.ts';
import { waitFor } from '../harness/wait-for.ts';
import { toolBin } from '../setup/tools.ts';

const folder = mkdtempSync(join(tmpdir(), 'serve-'));
const opened: StdioClient[] = [];
let server: ServerProcess;
beforeAll(async () => {
  server = await startServer('counter-server', { COUNTER_JSON: '1' });
});
afterAll(async () => {
  await Promise.all(opened.map((client) => client.close()));
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

let homes = 0;
const newHome = (): string => {
  homes += 1;
  return join(folder, `h${homes}`);
};
const environment = (home: string, more: Readonly<Record<string, string>> = {}) => ({
  ...{ PATH: process.env['PATH'] ?? '', HOME: folder, MCP_GATEWAY_HOME: home, MCP_GATEWAY_CACHE_DIR: cacheDir() },
  ...{ MCP_GATEWAY_LISTEN: '127.0.0.1:0', MCP_GATEWAY_ADMIN: '127.0.0.1:0', MCP_GATEWAY_URL_ALLOW_LIST: '127.0.0.1', ...more },
});
const cacheDir = (): string => process.env['MCP_GATEWAY_CACHE_DIR'] ?? join(process.env['HOME'] ?? '', '.cache/mcp-gateway');

async function start(generation: 'sdk' | 'client', env: Readonly<Record<string, string>>, args = [MAIN, 'serve']): Promise<StdioClient> {
  const client = await startStdioClient(generation, { command: process.execPath, args, env });
  opened.push(client);
  return client;
}

const names = async (client: StdioClient): Promise<string[]> => {
  const { structured, text } = await client.call('list_backends');
  if (structured === undefined) throw new Error(text);
  return (structured as { backends: { name: string }[] }).backends.map(({ name }) => name);
};

describe.each(['sdk', 'client'] as const)('for an unmodified client (%s)', (generation) => {
  test('starts a gateway, registers a backend with progress, and ends with it', async () => {
    const home = newHome();
    const client = await start(generation, environment(home));
    // The first calls may come while Envoy starts.
    await waitFor('the gateway', async () => (await names(client)).length === 0, { timeoutMs: 60_000 });
    const progress: string[] = [];
    const registered = await client.call(
      'register_backend',
      { name: 'counter', image: server.url, healthCheck: { type: 'mcp' } },
      (message) => progress.push(message),
    );
    expect(registered).toMatchObject({ isError: false, structured: { name: 'counter', health: 'healthy', image: server.url } });
    expect(progress.every((message) => message.startsWith('counter: '))).toBe(true);
    const { url } = registered.structured as { url: string };
    expect((await (await openSession(url)).call('whoami')).pid).toBe(server.pid);
    expect((await client.call('list_backends')).structured).toMatchObject({ backends: [{ name: 'counter', tenants: [] }] });

    const again = await client.call('register_backend', { name: 'counter', image: server.url });
    expect(again.isError).toBe(true);
    expect(again.text).toMatch(/there is a backend counter already.*\n.*replace/);
    const replaced = await client.call('register_backend', {
      ...{ name: 'counter', image: server.url, healthCheck: { type: 'mcp' }, tenants: ['*'], replace: true },
    });
    expect(replaced.structured).toMatchObject({ health: 'healthy', tenants: ['*'] });

    const all = descendantsOf(client.pid);
    expect(all.length).toBeGreaterThan(2);
    await client.close();
    await waitFor('everything to end', () => survivors(all).length === 0);
    expect(await readAnnouncement(home)).toBeUndefined();
  });

  test('attaches to the gateway that runs, and leaves it alone', async () => {
    const gateway = await startGateway({ resources: [serverBackend('declared', 'counter-server')] });
    try {
      const client = await start(generation, environment(gateway.home));
      expect(await names(client)).toEqual(['declared']);
      await client.close();
      expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
    } finally {
      await gateway.stop();
    }
  });

  test('shows the use of a tenant’s quotas, and changes them', async () => {
    const gateway = await startGateway();
    try {
      const client = await start(generation, environment(gateway.home));
      const none = await client.call('tenant_quota', { tenant_id: 'eng' });
      expect(none.text).toBe(
        'there is no tenant eng\nAsk the user for the right name, or whether it is to be created, and set create to true.',
      );
      const made = await client.call('tenant_quota', { tenant_id: 'eng', create: true, requests: 1000, per: '1h' });
      expect(made.structured).toMatchObject({ quotas: [{ requests: 1000, per: '1h', use: { used: 0, remaining: 1000 } }] });
      const changed = await client.call('tenant_quota', { tenant_id: 'eng', requests: 5, per: '1h', sessions: 2 });
      expect(changed.structured).toMatchObject({ quotas: [{ requests: 5 }], limits: { sessions: 2, concurrentRequests: null } });
      const shown = await client.call('tenant_quota', { tenant_id: 'eng' });
      expect(shown.structured).toMatchObject({ quotas: [{ requests: 5, per: '1h' }], limits: { sessions: 2 } });
      expect((await client.call('tenant_quota', { tenant_id: 'eng', requests: 5 })).text).toContain('belong together');
    } finally {
      await gateway.stop();
    }
  });
});

test('two that start at the same moment share one gateway', async () => {
  const home = newHome();
  const clients = await Promise.all([start('sdk', environment(home)), start('client', environment(home))]);
  const seen = await Promise.all(
    clients.map((client) => waitFor('the gateway', async () => (await names(client)).length === 0, { timeoutMs: 60_000 })),
  );
  expect(seen).toEqual([true, true]);
  const supervisors = () => clients.flatMap(({ pid }) => descendantsOf(pid)).filter(({ command }) => command.includes('main.js up'));
  await waitFor('the other one to give up', () => supervisors().length === 1);
  await Promise.all(clients.map((client) => client.close()));
});

test('its tools are what they were', async () => {
  const gateway = await startGateway();
  try {
    const client = await start('sdk', environment(gateway.home));
    const tools = await client.tools();
    expect(tools).toMatchSnapshot();
    for (const tool of tools) expect(tool['outputSchema']).toMatchObject({ type: 'object' });
  } finally {
    await gateway.stop();
  }
});

test('a backend that does not become healthy is said to be so, with what to do', async () => {
  const gateway = await startGateway({ env: { MCP_GATEWAY_URL_ALLOW_LIST: '127.0.0.1' } });
  try {
    const client = await start('sdk', environment(gateway.home));
    const { isError, text } = await client.call('register_backend', {
      name: 'unwell',
      image: server.url,
      healthCheck: { path: '/nowhere' },
    });
    expect(isError).toBe(true);
    expect(text).toMatch(/^unwell is registered, but after \d+ s it is not healthy \(unhealthy\): .*\/nowhere.*\nCorrect what is wrong/);
  } finally {
    await gateway.stop();
  }
});

describe('as each client’s configuration starts it', () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startGateway({ resources: [serverBackend('declared', 'counter-server')] });
  });
  afterAll(() => gateway?.stop());

  const configuration = (client: string): string =>
    execFileSync(process.execPath, [MAIN, 'client-config', client, '--stdio'], {
      env: environment(gateway.home),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  const programOf = (text: string): { command: string; args: string[] } => {
    const { mcpServers, servers, context_servers: zed } = parse(text) as Record<string, Record<string, unknown>>;
    const [found] = Object.values(mcpServers ?? servers ?? zed ?? {});
    return found as { command: string; args: string[] };
  };

  test.each(['claude-desktop', 'cline', 'continue', 'cursor', 'vscode', 'windsurf', 'zed'])('%s', async (name) => {
    const { command, args } = programOf(configuration(name));
    const client = await startStdioClient('sdk', { command, args, env: { PATH: '/usr/bin:/bin', HOME: folder } });
    opened.push(client);
    expect(await names(client)).toEqual(['declared']);
  });

  test('claude-code', async () => {
    const [, line = ''] = /-- (.*)\n$/.exec(configuration('claude-code')) ?? [];
    const client = await startStdioClient('sdk', {
      command: 'sh',
      args: ['-c', `exec ${line}`],
      env: { PATH: '/usr/bin:/bin', HOME: folder },
    });
    opened.push(client);
    expect(await names(client)).toEqual(['declared']);
  });

  test('Inspector CLI', async () => {
    const inspect = (...args: readonly string[]): Promise<unknown> =>
      new Promise((resolve, reject) => {
        // Of its own variables it passes on a few.
        const home = ['-e', `MCP_GATEWAY_HOME=${gateway.home}`];
        const command = [
          toolBin('@modelcontextprotocol/inspector', 'inspector'),
          '--cli',
          ...home,
          process.execPath,
          MAIN,
          'serve',
          ...args,
        ];
        const env = { ...process.env, ...environment(gateway.home) };
        execFile(process.execPath, command, { env, timeout: 60_000 }, (error, stdout, stderr) =>
          error ? reject(new Error(`${error.message}\n${stderr}`)) : resolve(JSON.parse(stdout)),
        );
      });
    expect(await inspect('--method', 'tools/list')).toMatchObject({
      tools: [{ name: 'list_backends' }, { name: 'register_backend' }, { name: 'tenant_quota' }, { name: 'helm_values' }],
    });
    expect(await inspect('--method', 'tools/call', '--tool-name', 'list_backends')).toMatchObject({
      structuredContent: { backends: [{ name: 'declared' }] },
    });
  });
});

describe('a gateway elsewhere', () => {
  let gateway: Gateway;
  let issuer: TestIssuer;
  beforeAll(async () => {
    issuer = await startIssuer();
    gateway = await startGateway({ env: issuer.env, resources: [serverBackend('declared', 'counter-server')] });
  });
  afterAll(async () => {
    await gateway?.stop();
    await issuer?.stop();
  });
  const away = (more: Readonly<Record<string, string>>) => environment(newHome(), { MCP_GATEWAY_URL: gateway.url, ...more });

  test('is driven with a token of the environment, and may refuse', async () => {
    const admin = await start('sdk', away({ MCP_GATEWAY_TOKEN: issuer.token('ann', { roles: ['mcp.admin'] }) }));
    expect(await names(admin)).toEqual(['declared']);
    const nobody = await start('sdk', away({ MCP_GATEWAY_TOKEN: issuer.token('bob') }));
    expect(await names(nobody)).toEqual([]);
    const refused = await nobody.call('register_backend', { name: 'x', image: 'https://mcp.example.com/mcp' });
    expect(refused).toMatchObject({
      isError: true,
      text: expect.stringMatching(/needs the role of an operator.*\nDo not try it in another way/),
    });
  });

  test('is driven with the token of a file, which may be renewed', async () => {
    const file = join(folder, 'token');
    writeFileSync(file, 'not-a-token\n');
    const client = await start('client', away({ MCP_GATEWAY_TOKEN_FILE: file }));
    expect((await client.call('list_backends')).text).toMatch(/does not take this token.*\nAsk the user for a token/);
    writeFileSync(file, `${issuer.token('ann', { roles: ['mcp.viewer'] })}\n`);
    expect(await names(client)).toEqual(['declared']);
  });

  test('asks for a token where there is none', async () => {
    const client = await start('sdk', away({}));
    expect((await client.call('list_backends')).text).toContain('set MCP_GATEWAY_TOKEN or MCP_GATEWAY_TOKEN_FILE');
  });

  test('is not sent a token that others could read', async () => {
    const outcome = await new Promise<[unknown, string]>((resolve) => {
      const env = { ...away({ MCP_GATEWAY_TOKEN: 'x' }), MCP_GATEWAY_URL: 'http://mcp.example.com' };
      execFile(process.execPath, [MAIN, 'serve'], { env, timeout: 30_000 }, (error, _stdout, stderr) => resolve([error?.code, stderr]));
    });
    expect(outcome).toEqual([1, 'mcp-gateway: MCP_GATEWAY_URL must begin with https://: the token would be readable\n']);
  });
});

test('standard output carries the protocol only, whatever it is sent, and a kill takes the gateway along', async () => {
  const child = spawn(process.execPath, [MAIN, 'serve'], { env: environment(newHome()), stdio: ['pipe', 'pipe', 'ignore'] });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stdin.write(
    'this is no JSON\n{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}\n',
  );
  await waitFor('an answer', () => output.includes('"id":1'));
  await waitFor('the gateway', () => descendantsOf(child.pid as number).some(({ command }) => command.includes('sidecar-0')), {
    timeoutMs: 60_000,
  });
  for (const line of output.trim().split('\n')) expect(JSON.parse(line)).toMatchObject({ jsonrpc: '2.0' });
  const all = descendantsOf(child.pid as number);
  child.kill('SIGKILL');
  await gone;
  await waitFor('the gateway to end', () => survivors(all).length === 0, { timeoutMs: 60_000 });
});
