// Builds dist/ from src/: compiles beside it, then moves changed files in one by one, so that a gateway that runs from dist/ never loads half a file.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildStamp } from './stale.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
// As deep as dist/, so that the source maps stay right.
const fresh = join(root, `.dist-${process.pid}`);
const startedAt = new Date();

try {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const compiled = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh], { cwd: root, stdio: 'inherit' });
  // The compiler writes its output in spite of type errors; the exit code tells, and without the stamp the next start builds again.
  if (existsSync(join(fresh, 'main.js'))) {
    chmodSync(join(fresh, 'main.js'), 0o755);
    moveInto(fresh, dist);
  }
  if (compiled.status === 0) {
    writeFileSync(join(root, buildStamp), '');
    // What was edited during the build is newer than its result.
    utimesSync(join(root, buildStamp), startedAt, startedAt);
  }
  process.exitCode = compiled.status ?? 1;
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

/** Makes `to` equal to `from`, touching only what differs. */
function moveInto(from, to) {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(to)) {
    if (!existsSync(join(from, name)) && join(to, name) !== join(root, buildStamp)) rmSync(join(to, name), { recursive: true });
  }
  for (const name of readdirSync(from)) {
    const source = join(from, name);
    const target = join(to, name);
    if (statSync(source).isDirectory()) moveInto(source, target);
    else if (!existsSync(target) || !readFileSync(source).equals(readFileSync(target))) renameSync(source, target);
  }
}
