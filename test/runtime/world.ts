// A local runtime in a temporary home, with a real directory behind it: what every test of the runtime starts with.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { parseResourceText } from '../../src/config/resource-files.ts';
import type { BackendResource } from '../../src/config/resources.ts';
import type { BackendName } from '../../src/core/ids.ts';
import { createDirectory } from '../../src/directory/directory.ts';
import type { Backend, Instance } from '../../src/directory/snapshot.ts';
import { type BackendStatus, createLocalRuntime, type LocalRuntimeOptions } from '../../src/runtime/local/runtime.ts';
import { waitFor } from '../harness/wait-for.ts';

const TSX = import.meta.resolve('tsx');
const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Probing ten times as often as in production, so that tests wait ten times less. */
const QUICK = { startingMs: 50, intervalMs: 100, unwellMs: 100 };
const SETTLE_MS = 40_000;

/** Waits for something that may need processes to start, on a machine that may be busy. */
export const until = <T>(what: string, condition: () => T | Promise<T>) => waitFor(what, condition, { timeoutMs: SETTLE_MS });

/** The command that runs the bridge from source. */
export const bridgeCommand = [process.execPath, '--import', TSX, MAIN, 'bridge'] as const;

/** The arguments that make Node run a fixture. */
export const fixtureArgs = (name: 'http-server' | 'stdio-server'): string[] => ['--import', TSX, `${FIXTURES}${name}.ts`];

/** A validated backend, as if it came from `file`. Throws when it is not valid. */
export function backend(name: string, spec: object, file = '/resources/test.yaml'): BackendResource {
  const text = JSON.stringify({ apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend', metadata: { name }, spec });
  const { resources, problems } = parseResourceText(text, file);
  if (problems.length > 0) {
    throw new Error(JSON.stringify(problems));
  }
  return resources[0] as BackendResource;
}

/** A backend that runs the HTTP fixture; `env` and `args` become its own, the rest its spec. */
export function httpBackend(
  name: string,
  { env = {}, args = [], ...spec }: { env?: Record<string, string>; args?: string[]; [field: string]: unknown } = {},
): BackendResource {
  const variables = Object.entries(env).map(([variable, value]) => ({ name: variable, value }));
  return backend(name, { image: `exec:${process.execPath}`, args: [...fixtureArgs('http-server'), ...args], env: variables, ...spec });
}

/** What the HTTP fixture tells about its process. */
export interface About {
  readonly pid: number;
  readonly grandchild?: number;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** Starts a runtime; close it in the end. */
export async function createWorld(options: Partial<LocalRuntimeOptions> = {}) {
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'mcp-gateway-runtime-')));
  const directory = createDirectory();
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  const runtime = createLocalRuntime({
    home,
    directory,
    log,
    environment: process.env,
    bridgeCommand,
    drainMs: 300,
    stopGraceMs: 1000,
    healthTiming: QUICK,
    ...options,
  });

  const inDirectory = (name: string): Backend | undefined => directory.snapshot().backends.get(name as BackendName);
  const instances = (name: string): readonly Instance[] => inDirectory(name)?.instances ?? [];
  const status = (name: string): BackendStatus => {
    const found = runtime.status().find((backend) => backend.name === name);
    if (found === undefined) {
      throw new Error(`no backend ${name}`);
    }
    return found;
  };
  const world = {
    home,
    directory,
    runtime,
    lines,
    inDirectory,
    instances,
    status,
    pids: (name: string): number[] => status(name).instances.flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
    apply: (...backends: BackendResource[]) => runtime.apply({ backends }),
    settled: () => runtime.whenSettled(AbortSignal.timeout(SETTLE_MS)),
    /** Applies and waits until everything is ready; throws with the messages when something is not. */
    async run(...backends: BackendResource[]): Promise<void> {
      runtime.apply({ backends });
      await waitFor(
        `all of ${backends.map(({ name }) => name).join()} ready`,
        () => runtime.status().every(({ message, desired, instances: all }) => message === '' && all.length === desired),
        { timeoutMs: SETTLE_MS },
      ).catch((error: Error) => {
        throw new Error(JSON.stringify(runtime.status(), null, 1), { cause: error });
      });
    },
    about: async (instance: Instance | undefined): Promise<About> => {
      const response = await fetch(`http://${instance?.address}/about`, { signal: AbortSignal.timeout(5000) });
      return (await response.json()) as About;
    },
    async close(): Promise<void> {
      await runtime.close();
      await rm(home, { recursive: true, force: true });
    },
  };
  return world;
}

export type World = Awaited<ReturnType<typeof createWorld>>;

/** Whether a process (not a zombie) with this pid exists. */
export function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
