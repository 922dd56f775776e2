// `mcp-gateway run`: installs a server's package when needed, then runs the server as the container's main process.

import { rm } from 'node:fs/promises';
import { pino } from 'pino';
import type { Environment } from '../local/environment.ts';
import { createPackageStore, type InstallProgress } from '../local/package-store.ts';
import { exitCodeOf, runMainProcess } from './main-process.ts';
import { RUN_USAGE, type RunArguments, readRunArguments } from './run-arguments.ts';
import { type Place, preparePlace } from './server-environment.ts';

const STDERR = 2;
const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/** The supervisor of a container's processes is the container: nothing outlives it that would have to be found again. */
const NO_RECORD = { add: async () => undefined, remove: async () => undefined, close: async () => undefined };

/** What the command may use of the process around it. */
export interface RunContext {
  readonly env: Environment;
  readonly cwd: string;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** Runs until the server ends and gives the exit code. Throws UsageError, and an Error with one line when nothing can be run. */
export async function run(argv: readonly string[], context: RunContext): Promise<number> {
  const parsed = readRunArguments(argv, context.env);
  if (parsed === 'help') {
    context.stdout.write(RUN_USAGE);
    return 0;
  }
  const { home, port } = parsed;
  const place = await preparePlace({ home, environment: context.env, port, cwd: context.cwd });
  const command = await commandOf(parsed, place, context);
  if (typeof command === 'number') {
    return command;
  }
  return parsed.stdio ? runStdio(parsed, command, place) : runMainProcess({ command, cwd: place.cwd, env: place.server });
}

/** The server's command line, after installing its package; an exit code when a signal came first. */
async function commandOf(
  { image, args, home }: RunArguments,
  place: Place,
  { cwd, stderr }: RunContext,
): Promise<readonly string[] | number> {
  if (image === undefined) {
    return args;
  }
  const stop = listen();
  const onProgress = ({ phase, elapsedMs }: InstallProgress): void => {
    if (phase !== 'failed') {
      stderr.write(`mcp-gateway: ${image.text} ${phase}${phase === 'installed' ? ` in ${(elapsedMs / 1000).toFixed(1)} s` : ' …'}\n`);
    }
  };
  const log = pino({ level: 'silent' });
  const { signal } = stop;
  const store = createPackageStore({ home, environment: place.installer, children: NO_RECORD, log, onProgress, signal });
  try {
    const program = await store.command(image, { folder: cwd, signal });
    // It holds everything once more, and is not needed again.
    await rm(place.installerCache, { recursive: true, force: true });
    return [...program, ...args];
  } catch (error) {
    const stopped = stop.by();
    if (stopped !== undefined) {
      await store.idle();
      return exitCodeOf(stopped);
    }
    throw new Error(`${image.text}: ${(error as Error).message.trim().replaceAll(/\s*\n\s*/g, ' | ')}`, { cause: error });
  } finally {
    stop.release();
  }
}

/** One process per session, behind a port on all addresses: the gateway reaches pods by their IP. */
async function runStdio(parsed: RunArguments, [command = '', ...args]: readonly string[], { server: env, cwd }: Place): Promise<number> {
  const { startBridge } = await import('../bridge/server.ts');
  const log = pino({ base: null }, pino.destination({ dest: STDERR, sync: true }));
  const stop = listen();
  try {
    const { port, path, idleMs } = parsed;
    const server = { command, args, env, cwd, errorOutput: process.stderr };
    const bridge = await startBridge({ ...server, port, path, log, limits: { idleMs } });
    log.info({ port: bridge.port, path }, 'bridge listening');
    await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }));
    log.info({ reason: stop.by() }, 'bridge stopping');
    await bridge.close();
    return 0;
  } finally {
    stop.release();
  }
}

/** The signals that end a container, from now on until `release`. */
function listen() {
  const stop = new AbortController();
  let by: NodeJS.Signals | undefined;
  const onSignal = (name: NodeJS.Signals): void => {
    by ??= name;
    stop.abort(new Error(`stopped by ${name}`));
  };
  for (const name of STOP_SIGNALS) process.on(name, onSignal);
  return {
    signal: stop.signal,
    by: () => by,
    release: () => {
      for (const name of STOP_SIGNALS) process.off(name, onSignal);
    },
  };
}
