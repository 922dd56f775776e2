// Asks an Envoy binary for its version, without trusting that it is one.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { minimumEnvoyVersion } from './binary-pins.ts';

const VERSION_TIMEOUT_MS = 10_000;
const VERSION_OUTPUT_BYTES = 64 * 1024;

/** What `envoy --version` said: `1.40.0`, or why it said nothing. */
export type VersionAnswer =
  | { readonly ok: true; readonly version: string; readonly supported: boolean }
  | { readonly ok: false; readonly why: string };

/** Finds the version in the output `… version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`. */
export function parseEnvoyVersion(output: string): string | undefined {
  return /\bversion: [0-9a-f]+\/(\d+\.\d+\.\d+[^/\s]*)\//.exec(output)?.[1];
}

/** Whether a version such as `1.41.2-dev` is new enough for the bootstrap of this gateway. */
export function isSupportedEnvoy(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major !== minimumEnvoyVersion.major) return major > minimumEnvoyVersion.major;
  return minor >= minimumEnvoyVersion.minor;
}

/**
 * Runs `file --version`, for at most 10 s.
 *
 * @throws only when `signal` is aborted.
 */
export async function askEnvoyVersion(file: string, signal: AbortSignal): Promise<VersionAnswer> {
  try {
    const run = { timeout: VERSION_TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: VERSION_OUTPUT_BYTES, signal } as const;
    const { stdout } = await promisify(execFile)(file, ['--version'], run);
    const version = parseEnvoyVersion(stdout);
    if (version === undefined) return { ok: false, why: '`--version` does not answer like Envoy' };
    return { ok: true, version, supported: isSupportedEnvoy(version) };
  } catch (error) {
    signal.throwIfAborted();
    return { ok: false, why: whyNot(error) };
  }
}

function whyNot(error: unknown): string {
  const { code, killed, stderr } = error as { code?: unknown; killed?: boolean; stderr?: string };
  if (killed === true) return `\`--version\` did not end within ${VERSION_TIMEOUT_MS / 1000} s`;
  if (code === 'ENOENT') return 'it does not exist, or its loader is missing';
  if (code === 'EACCES') return 'it is not executable';
  const firstLine = stderr?.trim().split('\n')[0];
  return firstLine === undefined || firstLine === '' ? `\`--version\` failed (${String(code)})` : firstLine;
}
