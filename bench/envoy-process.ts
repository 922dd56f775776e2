// An Envoy of the benchmark's own, with a given bootstrap and on a free port.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEnvoyAdmin } from '../src/envoy/admin.ts';
import { type Started, startProcess } from './child-process.ts';

const START_TIMEOUT_MS = 30_000;

export interface EnvoyOptions {
  readonly name: string;
  readonly binary: string;
  readonly folder: string;
  readonly threads: number;
  /** Makes the bootstrap; its one listener must listen on port 0 and its admin on the given socket. */
  readonly bootstrap: (adminSocket: string) => string;
}

/** Resolves when it takes traffic. */
export async function startEnvoy(options: EnvoyOptions, signal: AbortSignal): Promise<Started & { readonly port: number }> {
  const { name, binary, folder, threads, bootstrap } = options;
  const adminSocket = join(folder, `${name}-admin.sock`);
  const file = join(folder, `${name}.json`);
  writeFileSync(file, bootstrap(adminSocket));
  // The same options as the gateway's own Envoy gets (src/app/envoy-runner.ts).
  const flags = ['-c', file, '--concurrency', String(threads), '--disable-hot-restart', '--log-level', 'warning'];
  const envoy = startProcess({ name, command: [binary, ...flags], cwd: folder }, signal);
  const admin = createEnvoyAdmin(adminSocket);
  try {
    await envoy.until('ready', async () => ((await admin.ready()) ? true : undefined), START_TIMEOUT_MS);
    return { ...envoy, port: (await admin.listenAddress()).port };
  } catch (error) {
    await envoy.stop();
    throw error;
  }
}
