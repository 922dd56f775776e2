// Packages as images: installed once, whole or not at all, and the right program of each.

import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { descendantsOf } from '../harness/processes.ts';
import { waitFor } from '../harness/wait-for.ts';
import { alive, backend, createWorld, type World } from './world.ts';

const SERVER = `#!/usr/bin/env node
const { createServer } = require('node:http');
const name = require('node:path').basename(__filename);
createServer((request, response) => response.end(JSON.stringify({ pid: process.pid, argv: [name], env: process.env, cwd: process.cwd() })))
  .listen(process.env.PORT, '127.0.0.1');
`;
const INSTALL_MS = 120_000;

let world: World;
let scratch: string;
let resourceFile: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'mcp-gateway-packages-'));
  resourceFile = join(scratch, 'resources.yaml');
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
  await rm(scratch, { recursive: true, force: true });
});

/** A package in a folder: needs no registry. */
async function npmPackage(folder: string, manifest: object): Promise<void> {
  for (const file of ['one.js', 'two.js']) {
    await mkdir(join(scratch, folder), { recursive: true });
    await writeFile(join(scratch, folder, file), SERVER);
  }
  await writeFile(join(scratch, folder, 'package.json'), JSON.stringify({ version: '1.0.0', ...manifest }));
}

const installations = () => world.lines.filter(({ msg }) => msg === 'package installed');
const programOf = async (name: string) => (await world.about(world.instances(name)[0])).argv[0];
const message = async (name: string): Promise<string> => {
  await waitFor('a reason', () => world.status(name).message.includes(': '), { timeoutMs: INSTALL_MS });
  return world.status(name).message;
};

describe('an npm package', () => {
  it('is installed once for all who run it, and not again by the next gateway', async () => {
    await npmPackage('server', { name: '@scope/server', bin: { other: 'two.js', server: 'one.js' } });
    await world.run(
      backend('a', { image: 'npm:./server', replicas: 2 }, resourceFile),
      backend('b', { image: 'npm:./server#other' }, resourceFile),
    );
    expect([await programOf('a'), await programOf('b')]).toEqual(['one.js', 'two.js']);
    expect(installations()).toHaveLength(1);
    await world.runtime.close();
    const next = await createWorld({ home: world.home });
    await next.run(backend('a', { image: 'npm:./server' }, resourceFile));
    expect(next.lines.filter(({ msg }) => String(msg).startsWith('package'))).toEqual([]);
    await next.runtime.close();
  });

  it.each([
    ['named like the package', { name: 'x', bin: { y: 'two.js', x: 'one.js' } }, 'one.js'],
    ['the only one', { name: '@s/x', bin: { y: 'two.js' } }, 'two.js'],
    ['one text', { name: '@s/x', bin: './two.js' }, 'two.js'],
    ['one program under two names', { name: 'x', bin: { a: 'one.js', b: 'one.js' } }, 'one.js'],
  ])('runs the program that is %s', async (_, manifest, program) => {
    await npmPackage('server', manifest);
    await world.run(backend('a', { image: 'npm:./server' }, resourceFile));
    expect(await programOf('a')).toBe(program);
  });

  it('with several programs, or the one asked for missing, or none, says what there is and how to choose', async () => {
    await npmPackage('several', { name: 'several', bin: { a: 'one.js', b: 'two.js' } });
    await npmPackage('none', { name: 'none' });
    world.apply(
      backend('several', { image: 'npm:./several' }, resourceFile),
      backend('missing', { image: 'npm:./several#c' }, resourceFile),
      backend('none', { image: 'npm:./none' }, resourceFile),
    );
    expect(await message('several')).toContain(
      'npm:several has several programs and none is called "several"; its programs: a, b; choose with "#", e.g. npm:several#a',
    );
    expect(await message('missing')).toContain('npm:several has no program "c"; its programs: a, b');
    expect(await message('none')).toContain('npm:none has no program');
  });

  it('that cannot be installed says why, leaves nothing behind that looks installed, and is tried again', async () => {
    world.apply(backend('a', { image: 'npm:./server' }, resourceFile));
    expect(await message('a')).toMatch(/npm install failed \(exit code \d+\)/);
    await npmPackage('server', { name: 'server', bin: 'one.js' });
    await waitFor('ready', () => world.status('a').ready === 1, { timeoutMs: INSTALL_MS });
  });

  it('can be on its way when everything is closed', async () => {
    // A package whose installation never ends.
    await npmPackage('slow', { name: 'slow', bin: 'one.js', scripts: { install: 'node -e "setInterval(() => {}, 1000)"' } });
    const environment = { ...process.env, npm_config_ignore_scripts: 'false' };
    const slow = await createWorld({ environment });
    const packages = join(slow.home, 'packages');
    slow.apply(backend('a', { image: 'npm:./slow' }, resourceFile));
    const npm = await waitFor('npm', async () => {
      const record = JSON.parse(await readFile(join(slow.home, 'run', 'children.json'), 'utf8')) as { children: { pid: number }[] };
      return record.children[0]?.pid;
    });
    const installers = descendantsOf(process.pid).filter(({ pid, ppid }) => pid === npm || ppid === npm);
    expect(installers.length).toBeGreaterThan(0);
    const begin = performance.now();
    await slow.runtime.close();
    // The installation itself would never end.
    expect(performance.now() - begin).toBeLessThan(10_000);
    expect(installers.filter(({ pid }) => alive(pid))).toEqual([]);
    const [folder] = await readdir(packages);
    expect(await readdir(join(packages, folder as string))).not.toContain('.installed');
    await slow.close();
  });
});

describe('a Python package', () => {
  const WHEEL = `
import sys, zipfile
server = '''import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"pid": os.getpid(), "argv": ["NAME"], "env": dict(os.environ), "cwd": os.getcwd()}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
def main():
    http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'''
info = "demo_server-1.0.dist-info"
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("demo_one.py", server.replace("NAME", "one"))
    wheel.writestr("demo_two.py", server.replace("NAME", "two"))
    wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: demo-server\\nVersion: 1.0\\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\ndemo-server = demo_one:main\\nother = demo_two:main\\n")
    wheel.writestr(f"{info}/RECORD", "")
`;
  const NAME = 'demo_server-1.0-py3-none-any.whl';

  it(
    'is installed into an environment of its own and runs the script named like it, or the one asked for',
    async () => {
      execFileSync('python3', ['-c', WHEEL, join(scratch, NAME)]);
      await world.run(
        backend('one', { image: `pypi:./${NAME}`, replicas: 2 }, resourceFile),
        backend('two', { image: `pypi:./${NAME}#other` }, resourceFile),
      );
      expect([await programOf('one'), await programOf('two')]).toEqual(['one', 'two']);
      expect(installations()).toHaveLength(1);
      world.apply(backend('three', { image: `pypi:./${NAME}#third` }, resourceFile));
      expect(await message('three')).toContain('has no program "third"; its programs: demo-server, other; choose with "#"');
      // What else is in its environment is none of its programs: `#python` would run any code.
      for (const [name, program] of [
        ['four', 'python'],
        ['five', 'pip'],
      ] as const) {
        world.apply(backend(name, { image: `pypi:./${NAME}#${program}` }, resourceFile));
        expect(await message(name)).toContain(`has no program "${program}"; its programs: demo-server, other`);
      }
    },
    INSTALL_MS,
  );

  it(
    'that does not exist says why',
    async () => {
      world.apply(backend('one', { image: 'pypi:./missing-1.0-py3-none-any.whl' }, resourceFile));
      expect(await message('one')).toMatch(/failed \(exit code 1\)/);
    },
    INSTALL_MS,
  );
});
