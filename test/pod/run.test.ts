// `mcp-gateway run` as the main process of a container: what it installs, how it starts a server, and how both end.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { networkInterfaces, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runMainProcess } from '../../src/runtime/pod/main-process.ts';
import { preparePlace } from '../../src/runtime/pod/server-environment.ts';
import { freePort } from '../harness/free-port.ts';
import { openSession } from '../harness/mcp-http.ts';
import { descendantsOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type About, alive, fixtureArgs } from '../runtime/world.ts';

const MAIN = resolve(import.meta.dirname, '../../dist/main.js');
const INSTALL_MS = 180_000;
const SIGTERM_CODE = 143;
const SIGKILL_CODE = 137;

let home: string;
let port: number;
let running: ChildProcess | undefined;
let output: { stdout: string; stderr: string };
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'mcp-gateway-run-'));
  port = await freePort();
});
afterEach(async () => {
  if (running !== undefined && running.exitCode === null && running.signalCode === null) {
    const gone = once(running, 'exit');
    running.kill('SIGTERM');
    await gone;
  }
  running = undefined;
  await rm(home, { recursive: true, force: true });
});

interface Start {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What stands in front of Node, such as `unshare`. */
  readonly wrapper?: readonly string[];
}

function start(args: readonly string[], { env = {}, cwd = home, wrapper = [] }: Start = {}): ChildProcess {
  const [program = '', ...rest] = [...wrapper, process.execPath, MAIN, 'run', ...args];
  const inherited = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
  const child = spawn(program, rest, { cwd, env: { ...inherited, PORT: String(port), ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  running = child;
  output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      output[name] += text;
    });
  }
  return child;
}

/** Runs a command in the form that needs no package. */
const run = (command: readonly string[], options?: Start) => start(['--home', home, '--', ...command], options);
const fixture = (env: Readonly<Record<string, string>> = {}, options: Start = {}) =>
  run([process.execPath, ...fixtureArgs('http-server'), 'one', 'two'], { ...options, env: { ...env, ...options.env } });

async function exitCode(): Promise<number | null> {
  const [code] = (await once(running as ChildProcess, 'close')) as [number | null];
  return code;
}

const about = () =>
  waitFor('the server', async () => (await fetch(`http://127.0.0.1:${port}/about`)).json() as Promise<About>, { timeoutMs: INSTALL_MS });

/** A package in a folder: needs no registry. */
async function localPackage(): Promise<string> {
  const folder = join(home, 'package');
  await mkdir(folder);
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'demo', version: '1.0.0', bin: 'server.js' }));
  const server = `#!/usr/bin/env node
require('node:http').createServer((_, response) => response.end(JSON.stringify({ argv: process.argv.slice(2), env: process.env })))
  .listen(process.env.PORT, '127.0.0.1');
`;
  await writeFile(join(folder, 'server.js'), server);
  return folder;
}

describe('a server', () => {
  it('gets its arguments, PORT and the variables of the container, but none that change which code runs', async () => {
    fixture({ DECLARED: 'yes', NODE_OPTIONS: '--max-old-space-size=200', LD_PRELOAD: '', DYLD_X: '1' });
    const { argv, env, cwd } = await about();
    expect(argv).toEqual(['one', 'two']);
    expect(env).toMatchObject({ DECLARED: 'yes', PORT: String(port), HOME: process.env['HOME'] });
    expect(Object.keys(env).filter((name) => /^(NODE_OPTIONS|LD_|DYLD_)/.test(name))).toEqual([]);
    expect(cwd).toBe(home);
  });

  it('writes to the output of the container, as it is', async () => {
    run(['sh', '-c', 'printf "no line break"; printf "\\200\\n{}" >&2; exit 7']);
    expect(await exitCode()).toBe(7);
    expect(output).toEqual({ stdout: 'no line break', stderr: '\ufffd\n{}' });
  });

  it.each([
    ['exit code', 'exit 3', 3],
    ['signal', 'kill -KILL $$', SIGKILL_CODE],
    ['success', 'true', 0],
  ])('hands its end on: %s', async (_, script, code) => {
    run(['sh', '-c', script]);
    expect(await exitCode()).toBe(code);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const)('gets %s', async (signal) => {
    const name = signal.slice('SIG'.length);
    run(['sh', '-c', `trap 'echo got ${name}; exit 5' ${name}; echo ready; while :; do sleep 0.05; done`]);
    await waitFor('it', () => output.stdout.includes('ready'));
    running?.kill(signal);
    expect(await exitCode()).toBe(5);
    expect(output.stdout).toBe(`ready\ngot ${name}\n`);
  });

  it('gets a signal that comes in the very moment of its start', async () => {
    const signals = new EventEmitter();
    const ended = runMainProcess({ command: ['sleep', '60'], cwd: home, env: { PATH: process.env['PATH'] ?? '' }, signals });
    signals.emit('SIGTERM', 'SIGTERM');
    expect(await ended).toBe(SIGTERM_CODE);
  });

  it('may take its time to end', async () => {
    run(['sh', '-c', `trap 'sleep 0.3; echo done; exit 0' TERM; echo ready; while :; do sleep 0.05; done`]);
    await waitFor('it', () => output.stdout.includes('ready'));
    running?.kill('SIGTERM');
    expect(await exitCode()).toBe(0);
    expect(output.stdout).toBe('ready\ndone\n');
  });

  it('that ends takes with it what it started, also what refuses to', async () => {
    fixture({ GRANDCHILD: '1' });
    const { grandchild } = await about();
    expect(alive(grandchild as number)).toBe(true);
    running?.kill('SIGTERM');
    expect(await exitCode()).toBe(SIGTERM_CODE);
    await waitFor('its child to be gone', () => !alive(grandchild as number));
  });

  it('that cannot be started is told in one line', async () => {
    run(['/no/such/program']);
    expect(await exitCode()).toBe(1);
    expect(output.stderr).toBe('mcp-gateway: cannot start /no/such/program: there is no such program\n');
  });
});

/** Starts a command in namespaces of its own: what a container is. */
const CONTAINER = ['unshare', '--user', '--map-root-user', '--pid', '--fork'];
const [unshare = '', ...ownNamespaces] = CONTAINER;
const namespaces = spawnSync(unshare, [...ownNamespaces, 'true']).status === 0;

describe.skipIf(!namespaces)('as process 1 of a container', () => {
  const wrapper = [...CONTAINER, '--kill-child=KILL', '--mount-proc'];
  /** The process that is number 1 inside. */
  const first = () => waitFor('process 1', () => descendantsOf(running?.pid as number)[0]?.pid);

  it('hands SIGTERM on, which the kernel would not even deliver to a process that does not listen', async () => {
    run(['sh', '-c', `echo parent $PPID; trap 'echo got it; exit 6' TERM; while :; do sleep 0.05; done`], { wrapper });
    await waitFor('it', () => output.stdout.includes('parent'));
    expect(output.stdout).toBe('parent 1\n');
    process.kill(await first(), 'SIGTERM');
    expect(await exitCode()).toBe(6);
    expect(output.stdout).toContain('got it');
  });

  it('ends with a server that does not listen to SIGTERM in particular', async () => {
    run(['sleep', '1000'], { wrapper });
    const one = await first();
    const server = await waitFor('the server', () => descendantsOf(one).find(({ command }) => command === 'sleep 1000'));
    process.kill(one, 'SIGTERM');
    expect(await exitCode()).toBe(SIGTERM_CODE);
    expect(alive(server.pid)).toBe(false);
  });
});

describe('a folder that cannot be written to', () => {
  it('as HOME or working folder is replaced', async () => {
    fixture({ HOME: '/nonexistent' });
    expect((await about()).env['HOME']).toBe(join(home, 'home'));
    const place = await preparePlace({ home, environment: {}, port, cwd: '/nonexistent' });
    expect(place).toMatchObject({ server: { HOME: join(home, 'home') }, cwd: join(home, 'work') });
  });

  it('as --home is told', async () => {
    start(['--home', '/dev/null/mcp', '--', 'true']);
    expect(await exitCode()).toBe(1);
    expect(output.stderr).toBe(
      'mcp-gateway: cannot write to /dev/null/mcp (ENOTDIR): mount an emptyDir there, or name another folder with --home\n',
    );
  });
});

describe('a package', () => {
  it(
    'is installed with progress on stderr, once, and its cache does not stay',
    async () => {
      const folder = await localPackage();
      const args = ['--home', home, `npm:${folder}`, '--', '--flag', 'x'];
      start(args, { env: { SECRET: 's' } });
      const { argv, env } = await about();
      expect([argv, env['SECRET'], env['PORT']]).toEqual([['--flag', 'x'], 's', String(port)]);
      expect(output.stderr).toMatch(/^mcp-gateway: npm:\S+ installing …\nmcp-gateway: npm:\S+ installed in \d+\.\d s\n$/);
      expect((await readdir(home)).toSorted()).toEqual(['home', 'package', 'packages', 'work']);
      running?.kill('SIGTERM');
      expect(await exitCode()).toBe(SIGTERM_CODE);
      start(args);
      await about();
      expect(output.stderr).toBe('');
    },
    INSTALL_MS,
  );

  it(
    'does not show the variables of the server to its installer',
    async () => {
      const folder = await localPackage();
      const manifest = { name: 'demo', version: '1.0.0', bin: 'server.js', scripts: { install: 'env > "$npm_config_cache/../seen"' } };
      await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
      start(['--home', home, `npm:${folder}`], { env: { SECRET: 's', npm_config_ignore_scripts: 'false' } });
      await about();
      const seen = await readFile(join(home, 'seen'), 'utf8');
      expect(seen).toMatch(/^PATH=/m);
      expect(seen).not.toMatch(/^SECRET=/m);
    },
    INSTALL_MS,
  );

  it(
    'whose installation is interrupted ends with the signal, and leaves no installer',
    async () => {
      const folder = await localPackage();
      const manifest = { name: 'demo', version: '1.0.0', bin: 'server.js', scripts: { install: 'node -e "setInterval(() => {}, 1000)"' } };
      await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
      start(['--home', home, `npm:${folder}`], { env: { npm_config_ignore_scripts: 'false' } });
      const pid = running?.pid as number;
      const script = await waitFor('the script', () => descendantsOf(pid).find(({ command }) => command.startsWith('node -e set')));
      running?.kill('SIGTERM');
      expect(await exitCode()).toBe(SIGTERM_CODE);
      expect(alive(script.pid)).toBe(false);
    },
    INSTALL_MS,
  );

  it.each([
    ['has no such name', 'npm:other', /: there is no such package \(GET http:\/\/127\.0\.0\.1:\d+\/other answered 404\): check its name$/],
    ['has no such version', 'npm:demo@999.0.0', /: there is no such version \(demo@999\.0\.0\): check what stands behind the last "@"$/],
    ['has no such version for Python', 'pypi:demo==999', /: there is no such version \(demo==999\): .* the latest are 1\.0, 1\.1$/],
    ['has no such name for Python', 'pypi:other', /: there is no such package for this Python \(other\), or/],
  ])(
    'that %s is told in one line',
    async (_, image, line) => {
      const packument = { name: 'demo', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': { name: 'demo', version: '1.0.0' } } };
      const registry = createServer((request, response) => {
        response.writeHead(request.url === '/demo' ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(packument));
      }).listen(0, '127.0.0.1');
      await once(registry, 'listening');
      for (const version of ['1.0', '1.1']) await writeFile(join(home, `demo-${version}-py3-none-any.whl`), '');
      const npm = `http://127.0.0.1:${(registry.address() as { port: number }).port}`;
      start(['--home', home, image], { env: { npm_config_registry: npm, PIP_NO_INDEX: '1', PIP_FIND_LINKS: home } });
      await failsWith(image, line);
      registry.close();
    },
    INSTALL_MS,
  );

  it(
    'that cannot be fetched is told in one line',
    async () => {
      const image = 'npm:demo';
      const registry = `http://127.0.0.1:${await freePort()}`;
      start(['--home', home, image], { env: { npm_config_registry: registry, npm_config_fetch_retries: '0' } });
      await failsWith(
        image,
        /: the registry cannot be reached \(http:\S+\/demo: connect ECONNREFUSED \S+\): allow that connection, or name/,
      );
    },
    INSTALL_MS,
  );

  async function failsWith(image: string, line: RegExp): Promise<void> {
    expect(await exitCode()).toBe(1);
    const [progress, message, ...rest] = output.stderr.trimEnd().split('\n');
    expect([progress, rest]).toEqual([`mcp-gateway: ${image} installing …`, []]);
    expect(message).toMatch(line);
    expect(message?.startsWith(`mcp-gateway: ${image}: `)).toBe(true);
  }
});

describe('--stdio', () => {
  /** Everything that this machine can be reached at without a scope. */
  const addresses = Object.values(networkInterfaces())
    .flatMap((found) => found ?? [])
    .filter(({ address }) => !address.startsWith('fe80:'))
    .map(({ family, address }) => (family === 'IPv6' ? `[${address}]` : address));

  const stdio = (...more: string[]) => {
    const command = [process.execPath, ...fixtureArgs('stdio-server')];
    start(['--home', home, '--stdio', '--path', '/other', ...more, '--', ...command], { env: { DECLARED: 'yes' } });
  };
  const ready = () => waitFor('the bridge', async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok);

  it('puts the server behind a port on all addresses, whatever Host the pod has', async () => {
    stdio();
    await ready();
    const body = '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}';
    expect(addresses).toContain('127.0.0.1');
    for (const host of addresses) {
      const url = `http://${host}:${port}/other`;
      const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', host: 'github.mcp.svc' };
      const answer = await fetch(url, { method: 'POST', headers, body });
      expect([host, answer.status]).toEqual([host, 200]);
      await answer.text();
    }
  });

  it('ends all sessions with SIGTERM', async () => {
    stdio();
    await ready();
    await openSession(`http://127.0.0.1:${port}/other`);
    const server = await waitFor('its server', () => Number(/\[session 1\] started (\d+)/.exec(output.stderr)?.[1] ?? 0));
    running?.kill('SIGTERM');
    expect(await exitCode()).toBe(0);
    expect(alive(server)).toBe(false);
  });

  it('ends idle sessions', async () => {
    stdio('--idle-timeout', '200ms');
    await ready();
    await openSession(`http://127.0.0.1:${port}/other`);
    const server = await waitFor('its server', () => Number(/\[session 1\] started (\d+)/.exec(output.stderr)?.[1] ?? 0));
    await waitFor('its end', () => !alive(server));
  });

  it(
    'runs a real package, used by a real client',
    async () => {
      start(['--home', home, 'npm:@modelcontextprotocol/server-memory@2026.8.31', '--stdio'], { env: registrySettings() });
      await waitFor('the bridge', async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).ok, { timeoutMs: INSTALL_MS });
      const client = new Client({ name: 'test', version: '1' });
      const transport = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp`));
      await client.connect(transport as Parameters<Client['connect']>[0]);
      expect((await client.listTools()).tools.map(({ name }) => name)).toContain('create_entities');
      await client.close();
    },
    INSTALL_MS,
  );
});

it(
  'a real npm server that speaks HTTP',
  async () => {
    start(['--home', home, 'npm:@modelcontextprotocol/server-everything@2026.8.31', '--', 'streamableHttp'], { env: registrySettings() });
    const client = new Client({ name: 'test', version: '1' });
    await waitFor('it', async () => (await fetch(`http://127.0.0.1:${port}/mcp`)).status > 0, { timeoutMs: INSTALL_MS });
    const transport = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp`));
    await client.connect(transport as Parameters<Client['connect']>[0]);
    expect((await client.callTool({ name: 'echo', arguments: { message: 'hello' } })).content).toEqual([
      { type: 'text', text: 'Echo: hello' },
    ]);
    await client.close();
  },
  INSTALL_MS,
);

describe('mistakes', () => {
  it.each([
    [[], 'names no server'],
    [['redis:7'], 'redis:7 is no package: give npm:… or pypi:…, or a command behind "--"'],
    [['npm:a', 'b'], 'unexpected "b": the server\'s own arguments stand behind "--"'],
    [['npm:a', '--port', '0'], 'the port must be a number from 1 to 65535: got "0"'],
    [['npm:a', '--idle-timeout', 'soon'], '--idle-timeout must be a duration such as 45s or 30m: got "soon"'],
    [['npm:a', '--path', 'mcp'], '--path must begin with "/": got "mcp"'],
    [['npm:a', '--nonsense'], "Unknown option '--nonsense'"],
  ])('%j', async (args, line) => {
    start(args);
    expect(await exitCode()).toBe(2);
    expect(output.stderr).toMatch(/^mcp-gateway: [^\n]*\n$/);
    expect(output.stderr).toContain(line);
  });

  it('help is there', async () => {
    start(['--help']);
    expect(await exitCode()).toBe(0);
    expect(output.stdout).toContain('$ mcp-gateway run pypi:');
  });
});

/** Where packages come from on the machine that runs the tests. */
function registrySettings(): Record<string, string> {
  const wanted = ([name]: [string, string | undefined]): boolean => /^(npm_config_|NPM_CONFIG_|PIP_|SSL_|NODE_EXTRA_CA)/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(wanted)) as Record<string, string>;
}
