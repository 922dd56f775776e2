// `npm start` in a copy of the repository in which nothing is installed: the newcomer's first minute, and its end.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { descendantsOf, survivors } from './harness/processes.ts';
import { waitFor } from './harness/wait-for.ts';

const root = resolve(import.meta.dirname, '..');
const START_TIMEOUT_MS = 240_000;

let folder: string;
let clone: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'start-'));
  clone = join(folder, 'clone');
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
  for (const name of files.split('\0').filter((file) => file !== '' && existsSync(join(root, file)))) {
    mkdirSync(dirname(join(clone, name)), { recursive: true });
    cpSync(join(root, name), join(clone, name));
  }
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Started {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exit: Promise<number | null>;
}

function npmStart(args: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
  const child = spawn('npm', ['start', '--', ...args], { cwd: clone, env: { ...process.env, npm_config_prefer_offline: 'true', ...env } });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const exit = new Promise<number | null>((done) => child.once('exit', done));
  return { child, output: () => text, exit };
}

describe('npm start', () => {
  it('says in its last line what to do when the dependencies cannot be installed', { timeout: 60_000 }, async () => {
    // Nothing listens on port 9, and the cache is empty.
    const offline = {
      npm_config_registry: 'http://127.0.0.1:9/',
      npm_config_cache: join(folder, 'npm-cache'),
      npm_config_fetch_retries: '0',
    };
    const { exit, output } = npmStart([], offline);
    expect(await exit).toBe(1);
    expect(output().trimEnd().split('\n').at(-1)).toMatch(/^npm start: npm ci failed .*: check the network/);
  });

  it('installs, builds, starts the examples, shows how to use them, and leaves nothing behind', {
    timeout: START_TIMEOUT_MS + 60_000,
  }, async () => {
    const home = mkdtempSync(join(tmpdir(), 'gw-'));
    const { child, exit, output } = npmStart(['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--home', home]);
    try {
      await waitFor('the final screen, or the end', () => output().includes('Ctrl-C stops') || child.exitCode !== null, {
        timeoutMs: START_TIMEOUT_MS,
      });
      const screen = output();
      const url = /The gateway is ready at (\S+)/.exec(screen)?.[1] ?? expect.fail(screen);
      expect((await fetch(`${url}/readyz`)).status).toBe(200);
      expect(screen).toMatch(/^installing the dependencies[\s\S]*^building$/m);
      for (const name of ['everything', 'memory'])
        expect(screen).toMatch(new RegExp(`^ +${name} +${url}/adapters/${name}/mcp +ready$`, 'm'));
      expect(screen).toContain(`--cli ${url}/adapters/`);

      const started = descendantsOf(child.pid as number);
      expect(started.length).toBeGreaterThan(3);
      child.kill('SIGTERM');
      await exit;
      await waitFor('all processes to end', () => survivors(started).length === 0, { timeoutMs: 20_000 });
      expect(existsSync(join(home, 'gateway.json'))).toBe(false);
    } finally {
      for (const { pid } of descendantsOf(child.pid as number)) process.kill(pid, 'SIGKILL');
      child.kill('SIGKILL');
      rmSync(home, { recursive: true, force: true });
    }
  });
});
