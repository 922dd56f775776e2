// The images of the product, and of servers that it runs, made from what is on this machine: as the release's are, but for their base.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { rootCertificates } from 'node:tls';
import { build } from 'esbuild';
import { redisServerBinary } from '../setup/redis.ts';
import { envoyBinary } from '../setup/tools.ts';
import { loadImages } from './containerd.ts';
import { type Files, NODE_FILES, programFiles } from './image.ts';
import { FOLDER } from './place.ts';

export const GATEWAY_IMAGE = 'mcp-gateway:0.1.0';
export const RUNNER_IMAGE = 'mcp-gateway-runner:0.1.0';
export const COUNTER_IMAGE = 'ghcr.io/acme/counter:1';
/** The same again under another name: what a roll-out rolls to. */
export const NEXT_COUNTER_IMAGE = 'ghcr.io/acme/counter:2';
/** A stdio server on the runner. */
export const STDIO_IMAGE = 'ghcr.io/acme/counter-stdio:1';
export const STDIO_COMMAND = ['/usr/local/bin/node', '/server/server.mjs'];

const NODE = '/usr/local/bin/node';
const USER = '65532:65532';
/** Where the images of the release have it. */
const CA_FILE = '/etc/ssl/certs/ca-certificates.crt';
/** Says that the node has them. */
const DONE = join(FOLDER, 'product-images');
const root = resolve(import.meta.dirname, '../..');

/** Given to the node once for all test files of a run. */
export async function loadProductImages(): Promise<void> {
  if (existsSync(DONE)) return;
  const work = mkdtempSync(join(tmpdir(), 'servers-'));
  try {
    const authorities = join(work, 'authorities.crt');
    writeFileSync(authorities, rootCertificates.join('\n'));
    const product = { ...productFiles(), [CA_FILE]: authorities };
    const counter = await bundle('counter-server', work);
    const stdio = await bundle('counter-stdio-server', work);
    const main = [NODE, '/app/dist/main.js'];
    const server = { entrypoint: [NODE, '/server/server.mjs'], user: USER, env: { HOST: '0.0.0.0' }, layers: [NODE_FILES, counter] };
    await loadImages(
      { reference: `docker.io/library/${GATEWAY_IMAGE}`, entrypoint: main, user: USER, workingDir: '/app', layers: [NODE_FILES, product] },
      { reference: `docker.io/library/${RUNNER_IMAGE}`, entrypoint: main, user: USER, workingDir: '/app', layers: [NODE_FILES, product] },
      { reference: STDIO_IMAGE, entrypoint: main, user: USER, workingDir: '/app', layers: [NODE_FILES, product, stdio] },
      { reference: COUNTER_IMAGE, ...server },
      { reference: NEXT_COUNTER_IMAGE, ...server },
      {
        reference: `docker.io/envoyproxy/envoy:${namedIn('k8s/base/gateway.yaml', /envoyproxy\/envoy:(\S+)/)}`,
        entrypoint: ['/usr/local/bin/envoy'],
        user: USER,
        layers: [{ ...programFiles('/usr/local/bin/envoy', envoyBinary()), [CA_FILE]: authorities }],
      },
      {
        reference: `docker.io/library/redis:${namedIn('k8s/overlays/dev/redis.yaml', /image: redis:(\S+)/)}`,
        entrypoint: ['/usr/local/bin/redis-server'],
        user: USER,
        layers: [programFiles('/usr/local/bin/redis-server', redisServerBinary())],
      },
    );
    writeFileSync(DONE, '');
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What is installed of the packages that the lock file does not give to development alone. */
function productFiles(): Files {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>>;
  };
  const installed = Object.entries(packages)
    .filter(([path, { dev = false, devOptional = false }]) => path !== '' && !dev && !devOptional && existsSync(join(root, path)))
    .map(([path]) => path);
  // A package brings those below it.
  const outermost = installed.filter((path) => !installed.some((other) => path.startsWith(`${other}/`)));
  const all = ['dist', 'envoy', 'proto', 'package.json', ...outermost];
  return Object.fromEntries(all.map((path) => [`/app/${path}`, join(root, path)]));
}

/** A server of test/servers/ with all that it needs, as one file. */
async function bundle(name: string, work: string): Promise<Files> {
  const outfile = join(work, `${name}.mjs`);
  await build({
    entryPoints: [resolve(import.meta.dirname, `../servers/${name}.ts`)],
    ...{ outfile, bundle: true, platform: 'node', target: 'node20', format: 'esm', logLevel: 'error' },
    // Packages written for CommonJS ask for Node's own modules in their way.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
  return { '/server/server.mjs': outfile };
}

/** Which tag the manifests ask for. */
function namedIn(file: string, pattern: RegExp): string {
  const tag = pattern.exec(readFileSync(join(root, file), 'utf8'))?.[1];
  if (tag === undefined) throw new Error(`${file} names no such image`);
  return tag.replace(/@.*$/, '');
}
