// Logging in with a code at a real authorization server, for a gateway that trusts it: as commands and `mcp-gateway serve` do it.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AuthorizationServer, startAuthorizationServer } from '../auth/authorization-server.ts';
import { type Gateway, MAIN, startGateway } from '../harness/gateway.ts';
import { serverBackend } from '../harness/resource.ts';
import { type StdioClient, startStdioClient } from '../harness/stdio-client.ts';
import { waitFor } from '../harness/wait-for.ts';

const WHERE = /log in at (\S+) with the code ([A-Z]{4}-[A-Z]{4})/;

const folder = mkdtempSync(join(tmpdir(), 'device-'));
let server: AuthorizationServer;
let gateway: Gateway;
const commands: ChildProcess[] = [];
const clients: StdioClient[] = [];

beforeAll(async () => {
  server = await startAuthorizationServer();
  await server.control({ accounts: { ann: { roles: ['mcp.viewer'] } } });
  gateway = await startGateway({
    env: { MCP_GATEWAY_ISSUERS: JSON.stringify([{ issuer: server.issuer }]) },
    resources: [serverBackend('declared', 'counter-server', { replicas: 0 })],
  });
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  for (const command of commands) command.kill('SIGKILL');
  await gateway?.stop();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const environment = (over: Readonly<Record<string, string>> = {}) => ({
  ...{ PATH: process.env['PATH'] ?? '', HOME: folder, MCP_GATEWAY_HOME: join(folder, 'home') },
  ...{ MCP_GATEWAY_URL: gateway.url, MCP_GATEWAY_CLIENT_ID: 'cli', ...over },
});

interface Command {
  /** The page that it names on stderr. */
  page(): Promise<string>;
  kill(signal: NodeJS.Signals): void;
  /** A JSON-RPC message. */
  send(message: object): void;
  /** Ends its input. */
  end(): void;
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
}

function start(args: readonly string[], over: Readonly<Record<string, string>> = {}): Command {
  const child = spawn(process.execPath, [MAIN, ...args], { env: environment(over), stdio: ['pipe', 'pipe', 'pipe'] });
  commands.push(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return {
    page: () => waitFor('the page', () => pageIn(stderr)),
    kill: (signal) => void child.kill(signal),
    send: (message) => void child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`),
    end: () => void child.stdin.end(),
    ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr }))),
  };
}

const pageIn = (text: string): string | undefined => WHERE.exec(text)?.[1];

describe('a command', () => {
  test('says where to log in, waits for it, and then does its work', async () => {
    const { page, ended } = start(['backends', 'list']);
    const address = await page();
    expect(new URL(address).origin).toBe(server.issuer);
    await server.confirmDevice(address);
    const { code, stdout, stderr } = await ended;
    expect([code, stderr]).toEqual([0, expect.stringMatching(new RegExp(`^${WHERE.source}\n$`))]);
    expect(stdout).toMatch(/^NAME .*\ndeclared +stopped /);
  });

  test('whose login is denied ends with one line', async () => {
    const { page, ended } = start(['backends', 'list']);
    await server.confirmDevice(await page(), 'no');
    expect(await ended).toEqual({
      ...{ code: 1, stdout: '' },
      stderr: expect.stringMatching(new RegExp(`^${WHERE.source}\nmcp-gateway: the login has failed: access_denied\n$`)),
    });
  });

  test('whose code ends meanwhile ends, too', async () => {
    await server.control({ deviceCodeSeconds: 1 });
    const { code, stderr } = await start(['backends', 'list']).ended;
    await server.control({ deviceCodeSeconds: 3600 });
    expect([code, stderr.split('\n')[1]]).toEqual([1, 'mcp-gateway: nobody logged in while the code was good: try again']);
  });

  test.each([
    ['backends list', ['backends', 'list'], 1],
    // It listens for Ctrl+C itself, which is how it ends well.
    ['backends logs --follow', ['backends', 'logs', 'declared', '--follow'], 0],
  ])('%s: Ctrl+C ends the wait', async (_, args, expected) => {
    const { page, kill, ended } = start(args);
    await page();
    // Else it would wait as long as the code is good: an hour.
    kill('SIGINT');
    const { code, stderr } = await ended;
    expect(code).toBe(expected);
    expect(stderr.split('\n')[1]).toBe(expected === 0 ? '' : 'mcp-gateway: nobody has logged in: stopped');
  });

  test('with a client that the authorization server does not know says so', async () => {
    const { code, stderr } = await start(['backends', 'list'], { MCP_GATEWAY_CLIENT_ID: 'nobody' }).ended;
    expect([code, stderr]).toEqual([1, 'mcp-gateway: the login is refused: invalid_client\n']);
  });

  test('for a gateway that calls itself otherwise does not log in', async () => {
    const { code, stderr } = await start(['backends', 'list'], { MCP_GATEWAY_URL: `${gateway.url}/elsewhere` }).ended;
    expect([code, stderr]).toEqual([1, `mcp-gateway: ${gateway.url}/elsewhere does not say where to log in\n`]);
  });
});

describe('mcp-gateway serve', () => {
  const serve = async (): Promise<StdioClient> => {
    const client = await startStdioClient('sdk', { command: process.execPath, args: [MAIN, 'serve'], env: environment() });
    clients.push(client);
    return client;
  };

  test('says where to log in as the error of a call; after that, calls work, and go on to when the token has ended', async () => {
    await server.control({ tokenSeconds: 2 });
    const client = await serve();
    const first = await client.call('list_backends');
    expect(first).toMatchObject({ isError: true, text: expect.stringMatching(new RegExp(`^first ${WHERE.source}$`)) });
    await server.confirmDevice(pageIn(first.text) ?? '');
    // It is asked for the token every few seconds.
    const listed = await waitFor('the login', async () => {
      const { structured } = await client.call('list_backends');
      return structured;
    });
    expect(listed).toMatchObject({ backends: [{ name: 'declared' }] });
    const { tokens } = await server.control();
    await waitFor('a new token', async () => {
      expect((await client.call('list_backends')).structured).toEqual(listed);
      return (await server.control()).tokens >= tokens + 2;
    });
    expect(client.said().match(new RegExp(WHERE.source, 'g'))).toHaveLength(1);
    await server.control({ tokenSeconds: 3600 });
  });

  test('calls at the same time name the same code', async () => {
    const client = await serve();
    const answers = await Promise.all([client.call('list_backends'), client.call('tenant_quota', { tenant_id: 'default' })]);
    expect(new Set(answers.map(({ text }) => WHERE.exec(text)?.[2])).size).toBe(1);
  });

  test('ends with its input, and does not wait for a login under way', async () => {
    const { page, send, end, ended } = start(['serve']);
    const clientInfo = { name: 'x', version: '1' };
    send({ id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo } });
    send({ method: 'notifications/initialized' });
    send({ id: 2, method: 'tools/call', params: { name: 'list_backends', arguments: {} } });
    await page();
    end();
    expect((await ended).code).toBe(0);
  });
});
