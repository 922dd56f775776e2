// Container images made from files of this machine, as archives that containerd imports: no registry is asked, and no engine builds them.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createTar, type Tar } from './tar.ts';

/** Every image has them, as container engines make them. */
const FOLDERS = ['dev', 'etc', 'proc', 'sys', 'tmp'];
/** 65532 is the account of distroless images. */
const PASSWD = 'root:x:0:0::/:/none\nnonroot:x:65532:65532::/:/none\n';
/** The C library looks into /etc/hosts, which the kubelet writes, only when it is told to. */
const NAMES = 'hosts: files dns\n';

export interface ImageOptions {
  /** With its tag: `docker.io/test/node:1`. */
  readonly reference: string;
  readonly entrypoint: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A user that is not root, as `65532:65532`. */
  readonly user?: string;
  readonly workingDir?: string;
  /** Files and folders: where they are in the image, and where on this machine. */
  readonly files: Readonly<Record<string, string>>;
}

/** Writes the archive. */
export function makeImage(archive: string, { reference, entrypoint, env = {}, user = '', workingDir = '/', files }: ImageOptions): void {
  const work = mkdtempSync(join(tmpdir(), 'image-'));
  try {
    const layerFile = join(work, 'layer.tar');
    const layer = makeLayer(layerFile, files);
    const environment = { PATH: '/usr/local/bin:/usr/bin:/bin', ...env };
    const config = Buffer.from(
      JSON.stringify({
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        os: 'linux',
        config: {
          ...{ Entrypoint: entrypoint, WorkingDir: workingDir, User: user },
          Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
        },
        rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
      }),
    );
    const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
    const tar = createTar(archive);
    tar.bytes(configName, config);
    tar.copy('layer.tar', layerFile, 0o644);
    tar.bytes('manifest.json', Buffer.from(JSON.stringify([{ Config: configName, RepoTags: [reference], Layers: ['layer.tar'] }])));
    tar.finish();
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** @returns its digest */
function makeLayer(file: string, files: Readonly<Record<string, string>>): string {
  const tar = createTar(file);
  const made = new Set<string>(['.', '/']);
  const parents = (name: string): void => {
    const folder = dirname(name);
    if (made.has(folder)) return;
    parents(folder);
    made.add(folder);
    tar.folder(folder);
  };
  for (const name of FOLDERS) {
    made.add(name);
    tar.folder(name);
  }
  tar.bytes('etc/passwd', Buffer.from(PASSWD));
  tar.bytes('etc/nsswitch.conf', Buffer.from(NAMES));
  for (const [to, from] of Object.entries(files)) {
    const name = to.replace(/^\/+/, '');
    parents(name);
    add(tar, name, realpathSync(from), made);
  }
  return tar.finish();
}

function add(tar: Tar, name: string, path: string, made: Set<string>): void {
  const entry = lstatSync(path);
  if (entry.isSymbolicLink()) tar.link(name, readlinkSync(path));
  else if (entry.isFile()) tar.copy(name, path, entry.mode & 0o777);
  else if (entry.isDirectory()) {
    if (!made.has(name)) tar.folder(name);
    made.add(name);
    for (const child of readdirSync(path).toSorted()) add(tar, `${name}/${child}`, join(path, child), made);
  }
}

/** A program of this machine with the libraries that it loads, at the paths where it looks for them. */
export function programFiles(to: string, from: string): Record<string, string> {
  const files: Record<string, string> = { [to]: from };
  let listed = '';
  try {
    listed = execFileSync('ldd', [realpathSync(from)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    // Linked statically.
  }
  for (const [library] of listed.matchAll(/\/\S+/g)) files[library] = library;
  return files;
}

/** The Node that runs the tests, as `/usr/local/bin/node`. */
export const nodeFiles = (): Record<string, string> => programFiles('/usr/local/bin/node', process.execPath);
