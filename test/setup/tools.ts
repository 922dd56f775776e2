// The real programs that tests run – MCP servers and clients, a newer Node, Envoy – and where the set-up has put them.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { findEnvoy } from '../../src/envoy/binary.ts';
import { once } from './once.ts';

const INSTALL_TIMEOUT_MS = 600_000;
const INSTALL_OUTPUT_BYTES = 16 * 1024 * 1024;

const root = resolve(import.meta.dirname, '../..');
const manifests = resolve(import.meta.dirname, '../tools');

/** The folder for downloads, shared with the gateway itself. */
export function cacheDir(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'mcp-gateway');
}

/** The folder that holds the tools' `node_modules`; its name is a hash of what is installed there. */
export function toolsDir(): string {
  const hash = createHash('sha256');
  for (const name of ['package.json', 'package-lock.json']) hash.update(readFileSync(join(manifests, name)));
  return join(cacheDir(), 'test-tools', `${process.platform}-${process.arch}-${hash.digest('hex').slice(0, 16)}`);
}

/**
 * The JavaScript file behind a command of an installed package: run it with `process.execPath`, or `node24()` if it needs that.
 * `command` is only needed for packages with several.
 */
export function toolBin(packageName: string, command?: string): string {
  const folder = join(toolsDir(), 'node_modules', packageName);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { bin: string | Record<string, string> };
  const file = typeof bin === 'string' ? bin : command === undefined ? Object.values(bin)[0] : bin[command];
  if (file === undefined) throw new Error(`${packageName} has no command ${command ?? ''}`);
  return join(folder, file);
}

/** A Node of version 22 or newer, which some tools need: from the tools on Linux, else the one that runs the tests. */
export function node24(): string {
  const installed = join(toolsDir(), 'node_modules', `node-${process.platform}-${process.arch}`, 'bin/node');
  if (existsSync(installed)) return installed;
  if (Number.parseInt(process.versions.node, 10) >= 22) return process.execPath;
  throw new Error('this test needs Node 22 or newer, and there is no Node package for this platform: run the tests with a newer Node');
}

/** The Envoy that the set-up found; it is in the environment, so that a gateway started by a test takes the same one. */
export function envoyBinary(): string {
  const file = process.env['ENVOY_BIN'];
  if (file === undefined) throw new Error('ENVOY_BIN is not set: run the test by vitest, whose set-up finds or fetches Envoy');
  return file;
}

/** Finds or fetches Envoy and puts it where `envoyBinary()` looks. */
export async function provideEnvoy(progress: (line: string) => void): Promise<string> {
  const signal = new AbortController().signal;
  const { ENVOY_BIN: envoyBin, PATH: path } = process.env;
  const { file } = await findEnvoy({ envoyBin, path, cacheDir: cacheDir(), env: process.env, progress, signal });
  process.env['ENVOY_BIN'] = file;
  return file;
}

/** Installs the tools unless they are there: beside their place, then renamed, so that a half-done installation is never seen. */
export async function provideTools(progress: (line: string) => void): Promise<void> {
  const done = toolsDir();
  await once({
    lock: `${done}.lock`,
    isDone: () => existsSync(done),
    work: async () => {
      progress(`installing the test tools (about 350 MB, once) into ${done}`);
      await mkdir(dirname(done), { recursive: true });
      const fresh = await mkdtemp(join(dirname(done), '.install-'));
      try {
        for (const name of ['package.json', 'package-lock.json', '.npmrc']) await cp(join(manifests, name), join(fresh, name));
        // Some tools ask for a newer Node than runs the tests; they get it from node24().
        const run = { cwd: fresh, timeout: INSTALL_TIMEOUT_MS, maxBuffer: INSTALL_OUTPUT_BYTES };
        await promisify(execFile)('npm', ['ci', '--loglevel=error', '--engine-strict=false'], run);
        await rename(fresh, done).catch((error: unknown) => {
          // A slow installation may have been taken for a dead one, and made twice.
          if (!existsSync(done)) throw error;
        });
      } finally {
        await rm(fresh, { recursive: true, force: true });
      }
    },
  });
}

/** Builds dist/ when it is older than its sources, because tests start the program as users do. */
export async function provideBuild(progress: (line: string) => void): Promise<void> {
  const { isBuildStale } = (await import('../../scripts/stale.mjs')) as { isBuildStale: (root: string) => boolean };
  await once({
    lock: join(root, '.dist-lock'),
    isDone: () => !isBuildStale(root),
    work: async () => {
      progress('building');
      await promisify(execFile)(process.execPath, [join(root, 'scripts/build.mjs')], { cwd: root, timeout: INSTALL_TIMEOUT_MS });
    },
  });
}
