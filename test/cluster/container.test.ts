// The images without an engine that builds them: the files that the Containerfile copies are put together as it says, and run from there.

import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { version } from '../../src/config/version.ts';

const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

interface Stage {
  readonly name: string;
  readonly from: string;
  readonly lines: readonly (readonly string[])[];
}

/** Each stage with its instructions, cut at spaces; comments and continued lines are put right. */
function stagesIn(text: string): Stage[] {
  const lines = text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '');
  const stages: { name: string; from: string; lines: string[][] }[] = [];
  for (const line of lines) {
    const words = line.split(/\s+/);
    if (words[0] === 'FROM') stages.push({ from: words[1] ?? '', name: words[3] ?? '', lines: [] });
    else stages.at(-1)?.lines.push(words);
  }
  return stages;
}

const containerfile = readFileSync(join(root, 'Containerfile'), 'utf8');
const stages = stagesIn(containerfile);
const stageOf = (name: string): Stage => {
  const stage = stages.find((each) => each.name === name);
  if (!stage) throw new Error(`no stage ${name}`);
  return stage;
};
const instructionOf = (stage: Stage, instruction: string): string =>
  stage.lines
    .find(([first]) => first === instruction)
    ?.slice(1)
    .join(' ') ?? '';

const folder = mkdtempSync(join(tmpdir(), 'container-'));
/** Where each stage's `/app` is here. The build is the one that all tests run. */
const places: Readonly<Record<string, string>> = { build: root, modules: join(folder, 'modules') };

/** Does what a stage's COPY lines say. */
function copied(stage: Stage, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const [, ...words] of stage.lines.filter(([first]) => first === 'COPY')) {
    const from = words[0]?.startsWith('--from=') ? words.shift()?.slice('--from='.length) : undefined;
    const target = words.pop() ?? '';
    for (const source of words) {
      const place = from === undefined ? join(root, source) : source.replace(/^\/app/, places[from] ?? '/none');
      cpSync(place, join(to, target.endsWith('/') ? join(target, basename(source)) : target), { recursive: true });
    }
  }
}

beforeAll(async () => {
  const modules = stageOf('modules');
  copied(modules, places['modules'] ?? '');
  const [command = '', ...args] = instructionOf(modules, 'RUN').split(' ');
  await run(command, [...args, '--prefer-offline'], { cwd: places['modules'], timeout: 300_000 });
}, 320_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('everything that is copied from here is let through', () => {
  const ignored = readFileSync(join(root, '.containerignore'), 'utf8').split('\n');
  expect(ignored).toContain('*');
  const taken = stages.flatMap(({ lines }) => lines.filter(([first, second]) => first === 'COPY' && !second?.startsWith('--from=')));
  for (const source of taken.flatMap((words) => words.slice(1, -1))) {
    expect(existsSync(join(root, source)), source).toBe(true);
    expect(ignored, source).toContain(`!${source}`);
  }
});

describe.each(['gateway', 'runner'])('%s', (name) => {
  const image = join(folder, name);
  const mcpGateway = (...args: readonly string[]) => {
    const entry: unknown = JSON.parse(instructionOf(stageOf(name), 'ENTRYPOINT'));
    const [main = ''] = (entry as string[]).slice(-1);
    // As in a pod: no home, and a folder that cannot be written to.
    const env = { PATH: process.env['PATH'], MCP_GATEWAY_HOME: join(folder, 'home'), SSL_CERT_FILE: '/etc/ssl/certs/ca-certificates.crt' };
    return run(process.execPath, [main.replace(/^\/app/, image), ...args], { cwd: '/', env, timeout: 60_000 });
  };
  beforeAll(() => copied(stageOf(name), image));

  test('is nobody’s root, and has nothing of the tests', () => {
    expect(instructionOf(stageOf(name), 'USER')).toBe('65532:65532');
    expect(readdirSync(image).toSorted()).toEqual(['dist', 'envoy', 'node_modules', 'package.json', 'proto']);
    for (const tool of ['vitest', 'typescript', 'tsx', '@biomejs']) expect(existsSync(join(image, 'node_modules', tool)), tool).toBe(false);
  });

  test('says its version', async () => {
    expect((await mcpGateway('--version')).stdout).toBe(`${version()}\n`);
  });

  test.each(['base', 'overlays/production'])('reads the settings of %s, and writes the configuration of Envoy', async (place) => {
    const config = ['--config', join(root, 'k8s', place, 'config/gateway.yaml'), '--home', join(folder, `run-${name}-${basename(place)}`)];
    expect((await mcpGateway('config', 'print', ...config)).stdout).toContain(
      'controllerUrl: http://mcp-gateway-controller.mcp-gateway:8082',
    );
    const out = join(folder, `envoy-${name}.json`);
    await mcpGateway('envoy', 'config', '--out', out, ...config);
    expect(JSON.parse(readFileSync(out, 'utf8'))).toMatchObject({ static_resources: { listeners: [{ name: 'mcp' }] } });
  });

  test.each(['sidecar', 'controller', 'run', 'drain-agent'])('has the command %s', async (command) => {
    expect((await mcpGateway(command, '--help')).stdout).toContain(`mcp-gateway ${command}`);
  });

  // What a command imports only when it runs is there as well.
  test('finds every module of its own', async () => {
    const files = readdirSync(join(image, 'dist'), { recursive: true, encoding: 'utf8' }).filter(
      (file) => file.endsWith('.js') && file !== 'main.js',
    );
    const program = files
      .filter((file) => !/(^|\/)main\.js$/.test(file))
      .map((file) => `await import(${JSON.stringify(join(image, 'dist', file))});`)
      .join('\n');
    await run(process.execPath, ['--input-type=module', '--eval', `${program}\nprocess.exit(0);`], { cwd: '/', timeout: 60_000 });
  });
});

test('images are named by exact versions', () => {
  const named = [...containerfile.matchAll(/^ARG \w+_IMAGE=(\S+)$/gm)].map(([, image = '']) => image);
  expect(named).toEqual([
    expect.stringMatching(/^node:\d+\.\d+\.\d+-/),
    expect.stringMatching(/^gcr\.io\/distroless\/nodejs\d+-debian\d+:nonroot(@sha256:\w+)?$/),
  ]);
  for (const { from } of stages) expect(from).toMatch(/^\$\{\w+_IMAGE\}$/);
});
