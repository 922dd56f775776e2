// The built command as a user runs it: help, version, exit codes, and errors in one line.

import { execFile } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { envoyBinary } from './setup/tools.ts';

const main = resolve(import.meta.dirname, '../dist/main.js');
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Outcome {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the file itself, as the link that npm makes for `bin` does. */
function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  return new Promise((done) => {
    const options = { env: { PATH: process.env['PATH'], HOME: folder, ...env }, cwd: folder, timeout: 30_000 };
    execFile(main, args, options, (error, stdout, stderr) => done({ code: error === null ? 0 : error.code, stdout, stderr }));
  });
}

it('is an executable file that names its interpreter', () => {
  expect(() => accessSync(main, constants.X_OK)).not.toThrow();
  expect(readFileSync(main, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
});

describe('help and version', () => {
  it('go to stdout with exit code 0, and show examples but no internal commands', async () => {
    const help = await run(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toContain('$ mcp-gateway up --resources examples/local');
    expect(help.stdout).not.toMatch(/worker|bridge/);
    expect((await run(['up', '--help'])).stdout).toContain('--listen <HOST:PORT>');
    expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('mistakes', () => {
  it.each([
    [['upp'], /^mcp-gateway: unknown command 'upp' \(Did you mean up\?\)\n$/],
    [['up', '--bogus'], /^mcp-gateway: unknown option '--bogus'\n$/],
    [['up', 'extra'], /^mcp-gateway: too many arguments.*\n$/],
    [['up', '--listen', '0.0.0.0:8080'], /^mcp-gateway: listen 0\.0\.0\.0:8080 would be open to other machines .*\n$/],
    [['up', '--config', 'missing.yaml'], /^mcp-gateway: .*missing\.yaml: there is no such file\n$/],
  ])('%j: one line on stderr and exit code 2', async (args, line) => {
    const { code, stdout, stderr } = await run(args);
    expect(stderr).toMatch(line);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('without a command: the help, and exit code 2', async () => {
    expect(await run([])).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Usage: mcp-gateway') });
  });
});

describe('bridge', () => {
  it('gets its arguments as they are, `--` and options of the server included', async () => {
    expect(await run(['bridge', '--port', 'x', '--', 'node', '--help'])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^mcp-gateway: usage: mcp-gateway bridge .*\n$/),
    });
  });
});

describe('config', () => {
  it('print shows a gateway.yaml that check accepts and that gives the same settings', async () => {
    const issuers = [
      { issuer: 'https://login.example.com/', audiences: ['mcp'], leeway: '90s', claims: { roles: ['realm_access.roles'] } },
      { issuer: 'https://login.example.com/v2.0', preset: 'entra', leeway: '0s' },
    ];
    const first = await run(['config', 'print', '--workers', '3', '--listen', '0.0.0.0:8080'], {
      MCP_GATEWAY_ALLOWED_HOSTS: 'a.example,b.example:81',
      MCP_GATEWAY_ISSUERS: JSON.stringify(issuers),
    });
    expect(parse(first.stdout)).toMatchObject({ workers: 3, listen: '0.0.0.0:8080', allowedHosts: ['a.example', 'b.example:81'] });
    expect(parse(first.stdout)).toMatchObject({ issuers: [{ leeway: '90s' }, { claims: { subject: 'oid', tenant: 'tid' } }] });
    writeFileSync(join(folder, 'gateway.yaml'), first.stdout);
    expect(await run(['config', 'check', '--config', 'gateway.yaml'])).toMatchObject({ code: 0, stdout: 'the settings are valid\n' });
    expect((await run(['config', 'print', '--config', 'gateway.yaml'])).stdout).toBe(first.stdout);
  });

  it('check reports all mistakes, and warns of unknown variables', async () => {
    const wrong = await run(['config', 'check', '--workers', 'x', '--admin', 'y']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(/2 settings are wrong:\n {2}--admin .*\n {2}--workers .*\n$/) });
    const warned = await run(['config', 'check'], { MCP_GATEWAY_LISTN: 'x' });
    expect(warned).toMatchObject({ code: 0, stderr: 'mcp-gateway: MCP_GATEWAY_LISTN is not a setting of this version\n' });
  });
});

describe('envoy fetch', () => {
  it('prints the binary that would be run', async () => {
    expect(await run(['envoy', 'fetch'], { ENVOY_BIN: envoyBinary() })).toEqual({ code: 0, stdout: `${envoyBinary()}\n`, stderr: '' });
  });

  it('fails in one line when the chosen binary is no Envoy', async () => {
    const { code, stderr } = await run(['envoy', 'fetch'], { ENVOY_BIN: process.execPath });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^mcp-gateway: ENVOY_BIN=.* cannot be used: .*\n$/);
  });
});

describe('client-config --stdio', () => {
  const ofClaudeDesktop = async (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const { code, stdout, stderr } = await run(['client-config', 'claude-desktop', '--stdio', ...args], env);
    expect([code, stderr]).toEqual([0, 'this belongs into claude_desktop_config.json (Settings, Developer, Edit Config)\n']);
    return (JSON.parse(stdout) as { mcpServers: Record<string, unknown> }).mcpServers['mcp-gateway'];
  };

  it('names this very program by absolute paths, and its home only when that is not the usual one', async () => {
    const usual = { command: process.execPath, args: [main, 'serve'] };
    expect(await ofClaudeDesktop([])).toEqual(usual);
    expect(await ofClaudeDesktop([], { MCP_GATEWAY_HOME: join(folder, '.mcp-gateway') })).toEqual(usual);
    const elsewhere = { ...usual, args: [...usual.args, '--home', join(folder, 'a b')] };
    expect(await ofClaudeDesktop(['--home', 'a b'])).toEqual(elsewhere);
    expect(await ofClaudeDesktop([], { MCP_GATEWAY_HOME: join(folder, 'a b') })).toEqual(elsewhere);
  });

  it('gives Claude Code a line that a shell takes as it is meant', async () => {
    const { stdout } = await run(['client-config', 'claude-code', '--stdio', '--home', "it's $(id)"]);
    const { stdout: words } = await promisify(execFile)('sh', ['-c', `claude() { printf '%s\\n' "$@"; }; ${stdout}`]);
    expect(words.trimEnd().split('\n').slice(-6)).toEqual([
      ...['--', process.execPath, main, 'serve', '--home', join(folder, "it's $(id)")],
    ]);
  });

  it('with backends is a usage error', async () => {
    expect(await run(['client-config', 'zed', 'github', '--stdio'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'mcp-gateway: --stdio is one server for all backends: leave their names out\n',
    });
  });
});
