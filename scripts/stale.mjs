// Whether dist/ is older than what it is built from: plain JavaScript, because it runs before anything is installed.

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Written last by a build, so its time is the build's. */
export const buildStamp = 'dist/.built';

/** Modification time in ms since the epoch, or 0 for what does not exist. */
export function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** `root` is the repository; deleted source files count too, since they change their folder's time. */
export function isBuildStale(root) {
  const built = modified(join(root, buildStamp));
  if (built === 0) return true;
  const configured = ['tsconfig.json', 'tsconfig.build.json', 'package.json'].some((name) => modified(join(root, name)) > built);
  return configured || newerThan(join(root, 'src'), built);
}

function newerThan(folder, time) {
  if (modified(folder) > time) return true;
  return readdirSync(folder, { withFileTypes: true }).some((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? newerThan(path, time) : modified(path) > time;
  });
}
