// The variables and the folder with which a server, or the installer of its package, runs in a container.

import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Environment } from '../local/environment.ts';

/** They change which code a process runs; a declaration may not set them, and what the runner itself got is not for the server. */
const REFUSED_VARIABLE = /^(NODE_OPTIONS|LD_.*|DYLD_.*)$/i;

export interface Place {
  /** Everything that the container has, but for what is refused. */
  readonly server: Record<string, string>;
  /** For the package store, which passes on only what an installer needs. */
  readonly installer: Record<string, string>;
  /** A folder that may be removed after an installation. */
  readonly installerCache: string;
  readonly cwd: string;
}

/**
 * Prepares `home` and says what runs there. Containers often have a read-only root and a HOME that nobody may write to: then servers get
 * a HOME and a working folder below `home`. Installers keep their caches there in any case. Throws when `home` cannot be written to.
 */
export async function preparePlace(options: { home: string; environment: Environment; port: number; cwd: string }): Promise<Place> {
  const { home, environment, port } = options;
  const work = join(home, 'work');
  const ownHome = join(home, 'home');
  try {
    await Promise.all([work, ownHome].map((folder) => mkdir(folder, { recursive: true, mode: 0o700 })));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new Error(`cannot write to ${home} (${code}): mount an emptyDir there, or name another folder with --home`);
  }
  const given = environment['HOME'];
  const HOME = given !== undefined && (await writable(given)) ? given : ownHome;
  const server: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !REFUSED_VARIABLE.test(name)) {
      server[name] = value;
    }
  }
  Object.assign(server, { HOME, PORT: String(port) });
  const installerCache = join(home, 'cache');
  const installer = { ...server, npm_config_cache: installerCache, PIP_NO_CACHE_DIR: '1' };
  return { server, installer, installerCache, cwd: (await writable(options.cwd)) ? options.cwd : work };
}

async function writable(folder: string): Promise<boolean> {
  return access(folder, constants.W_OK).then(
    () => true,
    () => false,
  );
}
