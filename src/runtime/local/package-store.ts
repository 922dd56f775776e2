// `<home>/packages`: npm and PyPI packages that backends run, each installed once.

import { createHash } from 'node:crypto';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Logger } from 'pino';
import type { ImageReference } from '../../config/image-reference.ts';
import { limited } from '../../core/within.ts';
import type { ChildrenFile } from './children-file.ts';
import { type Environment, installerEnvironment } from './environment.ts';
import { explainInstallFailure } from './install-failure.ts';
import { installNpm, npmCommand } from './npm-package.ts';
import { spawnGroup } from './process-group.ts';
import { installPypi, pypiCommand } from './pypi-package.ts';

/** Large packages on slow lines take minutes; a registry that hangs must not take for ever. */
const INSTALL_TIMEOUT_MS = 15 * 60_000;
/** How much of an installer's output an error message quotes. */
const QUOTED_OUTPUT = 2000;

export type PackageImage = Extract<ImageReference, { kind: 'npm' | 'pypi' }>;

/** What happens to a package, for whoever shows progress. */
export interface InstallProgress {
  readonly image: string;
  readonly phase: 'installing' | 'installed' | 'failed';
  /** Time since the beginning, in milliseconds. */
  readonly elapsedMs: number;
}

/** Runs one installer to its end in `cwd`; throws with the end of its output when it fails or `signal` aborts. */
export type RunInstaller = (command: readonly string[], cwd: string) => Promise<string>;

export interface PackageStore {
  /**
   * The command that runs the package's program, after installing it when needed. `folder`: where relative paths in the spec start.
   * Throws with a message for the user.
   */
  command(image: PackageImage, options: { folder: string; signal: AbortSignal }): Promise<readonly string[]>;
  /** Resolves when no installer runs any more; after the store's signal has been aborted that is soon. */
  idle(): Promise<void>;
}

/** Installs are single flight per package, and whole or not at all: a marker is written last, and a folder without it is made anew. */
export function createPackageStore(options: {
  home: string;
  environment: Environment;
  children: ChildrenFile;
  log: Logger;
  onProgress?: ((progress: InstallProgress) => void) | undefined;
  /** Ends every installation. */
  signal: AbortSignal;
}): PackageStore {
  const { home, environment, children, log, onProgress, signal: closing } = options;
  const flights = new Map<string, Promise<void>>();
  const running = new Set<Promise<string>>();

  async function install(image: PackageImage, spec: string, folder: string): Promise<void> {
    const marker = join(folder, '.installed');
    if (await exists(marker)) {
      return;
    }
    const begin = performance.now();
    const report = (phase: InstallProgress['phase'], fields: object = {}): void => {
      const elapsedMs = Math.round(performance.now() - begin);
      log.info({ image: image.text, elapsedMs, ...fields }, `package ${phase}`);
      onProgress?.({ image: image.text, phase, elapsedMs });
    };
    report('installing');
    try {
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await (image.kind === 'npm' ? installNpm : installPypi)({ spec, folder, run: explained(image.kind) });
      await writeFile(marker, `${spec}\n`);
      report('installed');
    } catch (error) {
      report('failed', { error: (error as Error).message });
      throw error;
    }
  }

  /** Failures that are known get one line instead of the installer's own words. */
  const explained =
    (kind: PackageImage['kind']): RunInstaller =>
    (command, cwd) =>
      run(command, cwd).catch((error: Error) => {
        const line = explainInstallFailure(kind, error.message);
        throw line === undefined ? error : new Error(line, { cause: error });
      });

  const run: RunInstaller = (command, cwd) => {
    const work = runToEnd(command, cwd);
    running.add(work);
    return work.finally(() => running.delete(work));
  };

  async function runToEnd(command: readonly string[], cwd: string): Promise<string> {
    closing.throwIfAborted();
    const group = await spawnGroup({ command, cwd, env: installerEnvironment(environment), stdin: 'ignore' }).catch((error: Error) => {
      throw new Error(`${command[0]} cannot be started: ${error.message}`);
    });
    await children.add(group.pid);
    const signal = limited(closing, INSTALL_TIMEOUT_MS);
    const stop = (): void => void group.stop();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) {
      stop();
    }
    const [output, end] = await Promise.all([lastOutput(group.stdout, group.stderr), group.ended]);
    signal.removeEventListener('abort', stop);
    await group.stop();
    await children.remove(group.pid);
    signal.throwIfAborted();
    if (end.code !== 0) {
      throw new Error(`${command.slice(0, 2).join(' ')} failed (${end.reason}): ${output.trim()}`);
    }
    return output;
  }

  return {
    async command(image, { folder: base, signal }) {
      const spec = absoluteSpec(image.spec, base);
      const folder = join(home, 'packages', folderName(image.kind, spec));
      let flight = flights.get(folder);
      if (flight === undefined) {
        flight = install(image, spec, folder).finally(() => flights.delete(folder));
        flights.set(folder, flight);
        // It may fail when all who waited for it have left.
        flight.catch(() => undefined);
      }
      await abortable(flight, signal);
      return image.kind === 'npm' ? npmCommand({ folder, bin: image.bin }) : pypiCommand({ folder, spec, bin: image.bin, run });
    },
    async idle() {
      await Promise.allSettled([...running, ...flights.values()]);
    },
  };
}

/** Local packages are named relative to the resource file. */
function absoluteSpec(spec: string, base: string): string {
  const path = spec.startsWith('file:') ? spec.slice('file:'.length) : spec;
  return path !== spec || /^\.{0,2}\//.test(path) ? resolve(base, path) : spec;
}

function folderName(kind: string, spec: string): string {
  const readable = spec.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[-.]+/, '');
  return `${kind}-${readable.slice(-60)}-${createHash('sha256').update(spec).digest('hex').slice(0, 10)}`;
}

async function lastOutput(...streams: AsyncIterable<Buffer>[]): Promise<string> {
  let text = '';
  await Promise.all(
    streams.map(async (stream) => {
      for await (const chunk of stream) {
        text = (text + chunk.toString('utf8')).slice(-QUOTED_OUTPUT);
      }
    }),
  );
  return text;
}

/** The flight goes on when one of those who wait for it leaves. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let leave = (): void => undefined;
  const left = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason as Error);
    signal.addEventListener('abort', leave, { once: true });
  });
  try {
    return await Promise.race([work, left]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
