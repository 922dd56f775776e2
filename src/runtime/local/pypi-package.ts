// One Python package in a virtual environment of its own: how it gets there, and which of its programs runs.

import { basename, join } from 'node:path';
import type { RunInstaller } from './package-store.ts';

/**
 * Prints the programs that a distribution itself has brought, one per line: its console scripts, and files that it put beside them. Nothing
 * else of the environment may be named: `#python` or `#pip` would run any code in the name of a package that is trusted.
 */
const LIST_PROGRAMS = `import importlib.metadata, sys
found = importlib.metadata.distribution(sys.argv[1])
names = {entry.name for entry in found.entry_points if entry.group == "console_scripts"}
names |= {file.name for file in found.files or [] if ".." in file.parts and file.parent.name == "bin"}
print("\\n".join(sorted(names)))`;

/** Makes a virtual environment in `folder` and installs `spec` (anything that pip understands) into it. */
export async function installPypi({ spec, folder, run }: { spec: string; folder: string; run: RunInstaller }): Promise<void> {
  const venv = join(folder, 'venv');
  await run(['python3', '-m', 'venv', venv], folder);
  await run(
    [join(venv, 'bin', 'python'), '-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', '--quiet', '--', spec],
    folder,
  );
}

/** The command for the package's program: the one asked for, else the one named like the package, else the only one. */
export async function pypiCommand(options: {
  folder: string;
  spec: string;
  bin: string | undefined;
  run: RunInstaller;
}): Promise<readonly string[]> {
  const { folder, spec, bin, run } = options;
  const programs = join(folder, 'venv', 'bin');
  const name = packageName(spec);
  const listed = await run([join(programs, 'python'), '-c', LIST_PROGRAMS, name], folder);
  const scripts = listed.split('\n').filter((line) => line !== '');
  const wanted = bin === undefined ? [name, name.toLowerCase(), name.replaceAll('_', '-'), name.replaceAll('-', '_')] : [bin];
  for (const candidate of wanted) {
    if (scripts.includes(candidate)) {
      return [join(programs, candidate)];
    }
  }
  const [only] = scripts;
  if (only === undefined) {
    throw new Error(`pypi:${name} has no program (no console script)`);
  }
  if (bin === undefined && scripts.length === 1) {
    return [join(programs, only)];
  }
  const why = bin === undefined ? `has several programs and none is called "${name}"` : `has no program "${bin}"`;
  throw new Error(`pypi:${name} ${why}; its programs: ${scripts.join(', ')}; choose with "#", e.g. pypi:${spec}#${only}`);
}

/** `pkg[extra]==1.2` and `/dir/pkg-1.2-py3-none-any.whl` both name `pkg`. */
function packageName(spec: string): string {
  const file = spec.startsWith('/') ? basename(spec).split('-')[0] : undefined;
  return file ?? /^[A-Za-z0-9._-]+/.exec(spec)?.[0] ?? spec;
}
