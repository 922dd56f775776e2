// The binaries of a real Kubernetes: those of `KUBEBUILDER_ASSETS`, else built once with Go from the module proxy and kept in the cache.

import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { once } from '../setup/once.ts';
import { cacheDir } from '../setup/tools.ts';

const HELM_VERSION = 'v4.3.1';
/** All of it takes 30 CPU minutes, and the machine may be busy with other things. */
const LONGEST_BUILD_MS = 3 * 3_600_000;
const PROGRESS_MS = 60_000;
const MAX_OUTPUT_CHARS = 20_000;
/** Where Go is when it is on nobody's PATH: its own installation instructions say so. */
const GO_FOLDER = '/usr/local/go/bin';

const manifests = resolve(import.meta.dirname, 'binaries');
const goMod = readFileSync(join(manifests, 'go.mod'), 'utf8');
const kubernetesVersion = /^\tk8s\.io\/kubernetes (v\S+)$/m.exec(goMod)?.[1] ?? '';
const oldestGo = /^go (\S+)$/m.exec(goMod)?.[1] ?? '';

const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  helm: `helm.sh/helm/v4/cmd/helm@${HELM_VERSION}`,
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
  kubelet: 'k8s.io/kubernetes/cmd/kubelet',
  'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
  pause: './pause',
} as const;

export type Binary = keyof typeof packages;

/** What each suite needs, in the order in which it is built. */
export const SUITES = {
  cluster: ['etcd', 'kube-apiserver', 'kubectl', 'helm', 'kube-controller-manager'],
  kubelet: ['etcd', 'kube-apiserver', 'kubectl', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy', 'pause'],
} as const satisfies Record<string, readonly Binary[]>;

/** Go's flags are part of the key of its cache: they are the same wherever these binaries are built. */
const versionPackage = 'k8s.io/component-base/version';
const [, major = '', minor = ''] = /^v(\d+)\.(\d+)\./.exec(kubernetesVersion) ?? [];
const flags = Object.entries({ gitVersion: kubernetesVersion, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' })
  .map(([name, value]) => `-X ${versionPackage}.${name}=${value}`)
  .join(' ');
const stripped = '-s -w';

/** The path of a binary that is there. @throws Error that says how to get it */
export function binary(name: Binary): string {
  const found = find(name);
  if (found !== undefined) return found;
  throw new Error(
    `${name} has not been built: run \`npx tsx test/cluster/build.ts ${name}\`, or set KUBEBUILDER_ASSETS to a folder with it`,
  );
}

export const haveBinaries = (names: readonly Binary[]): boolean => names.every((name) => find(name) !== undefined);

/**
 * Builds what is missing, one binary after the other. Another process that builds the same is waited for.
 *
 * @throws Error when Go is missing or too old, or with the compiler's words
 */
export async function provideBinaries(names: readonly Binary[], progress: (line: string) => void): Promise<void> {
  for (const name of names) {
    if (find(name) !== undefined) continue;
    const folder = cacheFolder();
    const lock = join(folder, `${name}.lock`);
    const startedAt = Date.now();
    if (existsSync(lock)) progress(`waiting for ${name}, which another process builds`);
    const report = () => progress(`still building ${name}, for ${Math.round((Date.now() - startedAt) / 60_000)} min`);
    const timer = setInterval(report, PROGRESS_MS);
    try {
      const work = () => build(name, folder, progress);
      await once({ lock, isDone: () => find(name) !== undefined, work, longestWaitMs: LONGEST_BUILD_MS });
    } finally {
      clearInterval(timer);
    }
  }
}

function find(name: Binary): string | undefined {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  return [...(assets ? [assets] : []), cacheFolder()].map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Its name changes with all that goes into the binaries, but for the version of Go. */
function cacheFolder(): string {
  const sources = ['go.sum', 'pause/main.go'].map((name) => readFileSync(join(manifests, name), 'utf8'));
  const hash = createHash('sha256').update([goMod, ...sources, flags, packages.helm].join('\0'));
  const key = hash.digest('hex').slice(0, 12);
  return join(cacheDir(), 'kubernetes', `${kubernetesVersion}-${process.platform}-${process.arch}-${key}`);
}

async function build(name: Binary, folder: string, progress: (line: string) => void): Promise<void> {
  await checkGo();
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, '.build-'));
  const startedAt = Date.now();
  progress(`building ${name} (once) into ${folder}`);
  try {
    // A command of another module than ours can only be installed; its own go.sum is checked.
    if (name === 'helm') await go(['install', '-trimpath', '-ldflags', stripped, packages.helm], { cwd: work, GOBIN: work, GOFLAGS: '' });
    else {
      const args = ['build', '-trimpath', '-ldflags', `${stripped} ${flags}`, '-o', `${work}/`, packages[name]];
      await go(args, { cwd: manifests, GOFLAGS: '-mod=readonly -buildvcs=false' });
    }
    const [made] = await readdir(work);
    if (made === undefined) throw new Error(`go has built no ${name}`);
    await rename(join(work, made), join(folder, name));
    progress(`built ${name} in ${Math.round((Date.now() - startedAt) / 1000)} s`);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const goEnvironment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: [process.env['PATH'] ?? '', GO_FOLDER].join(delimiter),
  CGO_ENABLED: '0',
  GOTOOLCHAIN: 'local',
  GOWORK: 'off',
});

async function checkGo(): Promise<void> {
  const how = `install Go ${oldestGo} or newer (https://go.dev/dl), or set KUBEBUILDER_ASSETS to a folder with the binaries`;
  const said = await promisify(execFile)('go', ['env', 'GOVERSION'], { env: goEnvironment() }).catch(() => undefined);
  if (said === undefined) throw new Error(`the tests against a real Kubernetes build it, and there is no Go: ${how}`);
  const version = said.stdout.trim().replace(/^go/, '');
  if (isOlder(version, oldestGo)) throw new Error(`Go ${version} is too old to build Kubernetes ${kubernetesVersion}: ${how}`);
}

const isOlder = (version: string, than: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const [leastMajor = 0, leastMinor = 0] = than.split('.').map((part) => Number.parseInt(part, 10));
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
};

async function go(args: readonly string[], { cwd, ...env }: { readonly cwd: string } & Readonly<Record<string, string>>): Promise<void> {
  const child = spawn('go', args, {
    cwd,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...goEnvironment(), ...env },
  });
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-MAX_OUTPUT_CHARS);
  });
  const end = () => child.kill('SIGINT');
  process.once('exit', end);
  const code = await new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done));
  process.off('exit', end);
  if (code === 0) return;
  const said = output.split('\n').filter((line) => !line.startsWith('go: downloading'));
  throw new Error(`go ${args[0]} of ${args.at(-1)} failed:\n${said.join('\n')}`);
}
