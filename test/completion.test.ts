// The completion script of the built command in a real bash: what Tab offers at each place.

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CLIENTS } from '../src/cli/client-config.ts';

const main = resolve(import.meta.dirname, '../dist/main.js');
const TIMEOUT_MS = 30_000;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'completion-'));
  const { stdout } = await promisify(execFile)(process.execPath, [main, 'completion', 'bash'], { timeout: TIMEOUT_MS });
  writeFileSync(join(folder, 'script.bash'), stdout);
  mkdirSync(join(folder, 'some folder'));
  writeFileSync(join(folder, 'some file.yaml'), '');
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** `words` as bash has cut the line; the last one is being typed. */
async function offered(...words: readonly string[]): Promise<string[]> {
  const script = `source ./script.bash
    complete -p mcp-gateway >/dev/null || exit 1
    COMP_WORDS=(mcp-gateway "$@"); COMP_CWORD=$#
    _mcp_gateway
    for reply in "\${COMPREPLY[@]}"; do printf '%s\\n' "$reply"; done`;
  const options = { cwd: folder, timeout: TIMEOUT_MS };
  const { stdout, stderr } = await promisify(execFile)('bash', ['--norc', '-c', script, 'bash', ...words], options);
  expect(stderr).toBe('');
  return stdout.split('\n').slice(0, -1);
}

test('commands, and commands of commands', async () => {
  const all = await offered('');
  expect(all).toEqual(expect.arrayContaining(['up', 'backends', 'client-config', 'completion', 'config', 'sessions', 'tenants', 'values']));
  for (const internal of ['worker', 'bridge', 'help']) expect(all).not.toContain(internal);
  expect(await offered('c')).toEqual(['client-config', 'completion', 'config', 'controller']);
  expect(await offered('backends', '')).toEqual(['list', 'get', 'add', 'update', 'rm', 'logs', 'restart']);
  expect(await offered('backends', '--help', 'l')).toEqual(['list', 'logs']);
  expect(await offered('backends', 'list', '')).toEqual([]);
});

test('options of each command', async () => {
  expect(await offered('--v')).toEqual(['--version']);
  expect(await offered('backends', 'logs', '-')).toEqual(['--config', '--home', '--instance', '--lines', '-f', '--follow', '--help']);
  expect(await offered('up', '--l')).toEqual(['--listen']);
  expect(await offered('backends', 'get', 'github', '--j')).toEqual(['--json']);
  expect(await offered('values', '--preset', '')).toEqual(['entra', 'keycloak', 'okta', 'auth0']);
});

test('fixed choices, wherever options stand before them', async () => {
  expect(await offered('client-config', '')).toEqual(CLIENTS);
  expect(await offered('client-config', '--home', 'list', 'cl')).toEqual(['claude-code', 'claude-desktop', 'cline']);
  expect(await offered('client-config', '--home', '=', 'list', '--stdio', 'z')).toEqual(['zed']);
  expect(await offered('client-config', 'zed', '')).toEqual([]);
  expect(await offered('completion', '')).toEqual(['bash', 'zsh', 'fish']);
});

test('files and folders, with spaces in their names', async () => {
  expect(await offered('up', '--config', 'so')).toEqual(expect.arrayContaining(['some folder', 'some file.yaml']));
  expect(await offered('up', '--home', 'so')).toEqual(['some folder']);
  expect(await offered('up', '--home', '=', 'so')).toEqual(['some folder']);
  expect(await offered('up', '--home', '=')).toEqual(['some folder']);
  expect(await offered('up', '--listen', '')).toEqual([]);
});

test('another shell is a usage error', async () => {
  const refused = promisify(execFile)(process.execPath, [main, 'completion', 'tcsh'], { timeout: TIMEOUT_MS });
  await expect(refused).rejects.toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('bash, zsh, fish') });
});
