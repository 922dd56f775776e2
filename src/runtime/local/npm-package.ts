// One npm package in a folder of its own: how it gets there, and which of its programs runs.

import { open, readFile, writeFile } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { RunInstaller } from './package-store.ts';

const SHEBANG_BYTES = 256;

/**
 * Installs `spec` (anything that npm understands) into `folder`, which must be empty. Whether install scripts run is up to npm's own
 * configuration: a user or project that forbids them (`ignore-scripts`) has forbidden them here too.
 */
export async function installNpm({ spec, folder, run }: { spec: string; folder: string; run: RunInstaller }): Promise<void> {
  // With a package.json of its own npm neither looks further up nor takes settings from a project that it happens to be in.
  await writeFile(join(folder, 'package.json'), '{"private":true}\n');
  const options = ['--no-audit', '--no-fund', '--no-update-notifier', '--omit=dev', '--install-links', '--save-exact', '--loglevel=error'];
  await run(['npm', 'install', '--prefix', folder, ...options, '--', spec], folder);
}

/**
 * The command for the package's program: the one asked for, else the one named like the package, else the only one.
 * JavaScript runs with the Node that runs the gateway. Throws a message that lists the choices.
 */
export async function npmCommand({ folder, bin }: { folder: string; bin: string | undefined }): Promise<readonly string[]> {
  const { dependencies = {} } = (await readJson(join(folder, 'package.json'))) as { dependencies?: Record<string, string> };
  const name = Object.keys(dependencies)[0];
  if (name === undefined) {
    throw new Error(`npm installed no package into ${folder}; remove that folder to try again`);
  }
  const home = join(folder, 'node_modules', name);
  const manifest = (await readJson(join(home, 'package.json'))) as { bin?: string | Record<string, string> };
  const short = name.slice(name.lastIndexOf('/') + 1);
  const programs = typeof manifest.bin === 'string' ? { [short]: manifest.bin } : (manifest.bin ?? {});
  const path = programs[chooseProgram({ name, short, programs, bin })];
  const file = resolve(home, path ?? '');
  if (path === undefined || !file.startsWith(home + sep)) {
    throw new Error(`the program of npm:${name} lies outside of the package`);
  }
  return (await isNodeScript(file)) ? [process.execPath, file] : [file];
}

function chooseProgram(input: { name: string; short: string; programs: Record<string, string>; bin: string | undefined }): string {
  const { name, short, programs, bin } = input;
  const names = Object.keys(programs);
  const choices = `its programs: ${names.join(', ')}; choose with "#", e.g. npm:${name}#${names[0]}`;
  if (names.length === 0) {
    throw new Error(`npm:${name} has no program (no "bin" in its package.json)`);
  }
  if (bin !== undefined) {
    if (programs[bin] === undefined) {
      throw new Error(`npm:${name} has no program "${bin}"; ${choices}`);
    }
    return bin;
  }
  if (programs[short] !== undefined) {
    return short;
  }
  if (new Set(Object.values(programs)).size === 1) {
    return names[0] as string;
  }
  throw new Error(`npm:${name} has several programs and none is called "${short}"; ${choices}`);
}

/** npm makes programs executable, but `#!/usr/bin/env node` would find whichever Node is first on PATH. */
async function isNodeScript(file: string): Promise<boolean> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(SHEBANG_BYTES), 0, SHEBANG_BYTES, 0);
    const first = buffer.subarray(0, bytesRead).toString('latin1').split('\n')[0] ?? '';
    return /^#!.*\bnode\s*$/.test(first.trimEnd()) || (!first.startsWith('#!') && /\.[cm]?js$/.test(file));
  } finally {
    await handle.close();
  }
}

async function readJson(file: string): Promise<unknown> {
  return JSON.parse(await readFile(file, 'utf8'));
}
