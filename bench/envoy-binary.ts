// The Envoy that all variants run: the one that the gateway would find.

import { loadSettings } from '../src/config/settings-load.ts';
import { type FoundEnvoy, findEnvoy } from '../src/envoy/binary.ts';

/** @throws Error with one line when there is none. */
export function findEnvoyBinary(workingDir: string, signal: AbortSignal, progress: (line: string) => void): Promise<FoundEnvoy> {
  const { env } = process;
  const { settings } = loadSettings({ flags: {}, configFile: undefined, env, workingDir });
  return findEnvoy({ envoyBin: settings.envoyBin, path: env['PATH'], cacheDir: settings.cacheDir, env, signal, progress });
}
