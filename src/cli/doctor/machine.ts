// Checks of this machine: Node, Envoy and the home folder.

import { access, constants, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathProblem } from '../../app/home.ts';
import type { Settings } from '../../config/settings.ts';
import { findLocalEnvoy } from '../../envoy/binary.ts';
import { askEnvoyVersion } from '../../envoy/binary-version.ts';
import { type Finding, failure, failureOf, ok, warning } from './finding.ts';

/** As `engines` in package.json says. */
export const OLDEST_NODE = { major: 20, minor: 19 } as const;
const OTHERS = 0o077;

/** `version` as in `process.versions.node`. */
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const enough = major > OLDEST_NODE.major || (major === OLDEST_NODE.major && minor >= OLDEST_NODE.minor);
  if (enough) return ok(['node'], version);
  return failure(['node'], `${version} is too old`, `install Node ${OLDEST_NODE.major}.${OLDEST_NODE.minor} or newer`);
}

/** Finds the Envoy that `up` would run, without downloading it, and sees that it runs. */
export async function checkEnvoy(
  { envoyBin, cacheDir }: Pick<Settings, 'envoyBin' | 'cacheDir'>,
  { path, signal }: { readonly path: string | undefined; readonly signal: AbortSignal },
): Promise<readonly Finding[]> {
  const title = ['envoy'] as const;
  const skipped: Finding[] = [];
  const progress = (line: string): void => {
    skipped.push(warning(title, line, 'update that Envoy, or set ENVOY_BIN to another one'));
  };
  try {
    const found = await findLocalEnvoy({ envoyBin, path, cacheDir, progress, signal });
    if (found === undefined) {
      return [
        ...skipped,
        warning(title, 'there is none on this machine yet', 'the first "mcp-gateway up" downloads it, or "mcp-gateway envoy fetch" now'),
      ];
    }
    const { file, version, source } = found;
    // One from the cache was told by its size alone.
    const answer = source === 'cache' ? await askEnvoyVersion(file, signal) : undefined;
    if (answer?.ok === false) {
      return [...skipped, failure(title, `${file} cannot be run: ${answer.why}`, 'install another Envoy and set ENVOY_BIN to it')];
    }
    return [...skipped, ok(title, `${version}, ${file} (${source})`)];
  } catch (error) {
    return [...skipped, failure(title, (error as Error).message, 'set ENVOY_BIN to an Envoy of version 1.40 or newer')];
  }
}

/** The folder itself, and the keys in it. */
export async function checkHome({ home, workers, keyFile }: Pick<Settings, 'home' | 'workers' | 'keyFile'>): Promise<readonly Finding[]> {
  const title = ['home'] as const;
  const elsewhere = 'choose another folder with --home';
  const tooLong = pathProblem(home, workers);
  if (tooLong !== undefined) return [failureOf(title, new Error(tooLong), elsewhere)];
  const folder = await stat(home).catch(() => undefined);
  if (folder === undefined) {
    const parent = await existing(dirname(home));
    if (await may(parent)) return [ok(title, `${home} does not exist yet: "mcp-gateway up" makes it`)];
    return [failure(title, `${home} cannot be made: ${parent} is not yours to write`, elsewhere)];
  }
  if (!folder.isDirectory()) return [failure(title, `${home} is no folder`, elsewhere)];
  if (!(await may(home))) return [failure(title, `${home} is not yours to read and write`, elsewhere)];
  const open = (folder.mode & OTHERS) !== 0;
  const wide = open ? [warning(title, `${home} is open to other users of this machine`, `chmod 700 ${shellText(home)}`)] : [];
  const exposed: Finding[] = [];
  for (const file of [keyFile, join(home, 'token')]) {
    const found = await stat(file).catch(() => undefined);
    if (found !== undefined && (found.mode & OTHERS) !== 0) {
      exposed.push(failure(title, `${file} is open to other users of this machine`, `chmod 600 ${shellText(file)}`));
    }
  }
  return wide.length + exposed.length > 0 ? [...wide, ...exposed] : [ok(title, `${home}, for you alone`)];
}

async function may(folder: string): Promise<boolean> {
  return access(folder, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** The nearest folder above that is there. */
async function existing(folder: string): Promise<string> {
  const found = await stat(folder).catch(() => undefined);
  return found !== undefined || dirname(folder) === folder ? folder : existing(dirname(folder));
}

function shellText(path: string): string {
  return /^[\w./@:+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
