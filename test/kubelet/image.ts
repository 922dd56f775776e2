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

/** Files and folders: where they are in the image, and where on this machine. */
export type Files = Readonly<Record<string, string>>;

export interface ImageOptions {
  /** With its tag: `docker.io/test/node:1`. */
  readonly reference: string;
  readonly entrypoint: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A user that is not root, as `65532:65532`. */
  readonly user?: string;
  readonly workingDir?: string;
  /** One above the other. Images that are made together share those that are the same object. */
  readonly layers: readonly Files[];
}

interface Layer {
  readonly name: string;
  readonly digest: string;
}

/** Writes one archive with all of them. */
export function makeImages(archive: string, images: readonly ImageOptions[]): void {
  const work = mkdtempSync(join(tmpdir(), 'image-'));
  try {
    const tar = createTar(archive);
    const made = new Map<Files, Layer>();
    const layerOf = (files: Files): Layer => {
      const known = made.get(files);
      if (known) return known;
      const name = `layer-${made.size}.tar`;
      const layer = { name, digest: makeLayer(join(work, name), files) };
      made.set(files, layer);
      tar.copy(name, join(work, name), 0o644);
      return layer;
    };
    const manifest = images.map(({ reference, layers, ...options }) => {
      const all = [COMMON, ...layers].map(layerOf);
      const config = configuration(options, all);
      const name = `${createHash('sha256').update(config).digest('hex')}.json`;
      tar.bytes(name, config);
      return { Config: name, RepoTags: [reference], Layers: all.map((layer) => layer.name) };
    });
    tar.bytes('manifest.json', Buffer.from(JSON.stringify(manifest)));
    tar.finish();
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function configuration(
  { entrypoint, env = {}, user = '', workingDir = '/' }: Omit<ImageOptions, 'reference' | 'layers'>,
  layers: readonly Layer[],
): Buffer {
  const environment = { PATH: '/usr/local/bin:/usr/bin:/bin', ...env };
  const content = {
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: {
      ...{ Entrypoint: entrypoint, WorkingDir: workingDir, User: user },
      Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => `sha256:${digest}`) },
  };
  return Buffer.from(JSON.stringify(content));
}

/** The first layer of every image. */
const COMMON: Files = {};

/** @returns its digest */
function makeLayer(file: string, files: Files): string {
  const tar = createTar(file);
  const made = new Set<string>(['.', '/']);
  const parents = (name: string): void => {
    const folder = dirname(name);
    if (made.has(folder)) return;
    parents(folder);
    made.add(folder);
    tar.folder(folder);
  };
  if (files === COMMON) {
    for (const name of FOLDERS) tar.folder(name);
    tar.bytes('etc/passwd', Buffer.from(PASSWD));
    tar.bytes('etc/nsswitch.conf', Buffer.from(NAMES));
  }
  for (const name of FOLDERS) made.add(name);
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
export function programFiles(to: string, from: string): Files {
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
export const NODE_FILES: Files = programFiles('/usr/local/bin/node', process.execPath);
