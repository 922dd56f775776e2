// Starts the built gateway as users do (`node dist/main.js up`), with a home and resources of its own, and stops it without a trace.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { descendantsOf, type ProcessInfo, survivors } from './processes.ts';
import type { BackendResource } from './resource.ts';
import { waitFor } from './wait-for.ts';

export const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
/** What is kept of the gateway's output for failure messages. */
const MAX_LOG_CHARS = 4_000_000;

export interface GatewayOptions {
  /** Objects get files named after them; strings are YAML documents with the given file names. */
  readonly resources?: readonly (BackendResource | { readonly file: string; readonly yaml: string })[];
  /** Sidecar processes. Default: the gateway's own default. */
  readonly workers?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** A home to take over (a restart with the same keys); it is not removed by `stop`. */
  readonly home?: string;
  /** More arguments of `up`. */
  readonly args?: readonly string[];
  /** The Node binary that runs the gateway. Default: the one that runs the tests. */
  readonly node?: string;
  /** Do not wait for `gateway.json` and `/readyz`. */
  readonly wait?: boolean;
}

export interface Gateway {
  readonly url: string;
  readonly admin: string;
  readonly home: string;
  readonly child: ChildProcess;
  backendUrl(name: string): string;
  /** All living descendants of the supervisor. */
  pids(): ProcessInfo[];
  sidecarPids(): number[];
  envoyPid(): number;
  /** Adds or replaces a resource file, in one step as an editor does. */
  writeResource(resource: BackendResource): void;
  removeResource(name: string): void;
  /** Everything that the gateway wrote to stdout, stderr and its log file. */
  logs(): string;
  /** Ends it with SIGTERM. @throws when it leaves with an error, too late, or leaves a process behind. */
  stop(): Promise<void>;
  /** Sends a signal to the supervisor alone and waits until it has left. The home stays, to be looked at: `removeHome` afterwards. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Removes the home, unless it came from the caller. `stop` does it by itself. */
  removeHome(): void;
}

/** Starts a gateway on free ports. @throws with its output when it is not ready in time. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run "npm run build" first`);
  const keepsHome = options.home !== undefined;
  // Unix socket paths end at 108 bytes, so the home is short.
  const home = options.home ?? mkdtempSync(join(tmpdir(), 'gw-'));
  const resources = join(home, 'resources');
  mkdirSync(resources, { recursive: true });
  const writeFile = (file: string, content: string): void => {
    const temporary = join(home, `${file}.new`);
    writeFileSync(temporary, content);
    renameSync(temporary, join(resources, file));
  };
  for (const resource of options.resources ?? []) {
    if ('yaml' in resource) writeFile(resource.file, resource.yaml);
    else writeFile(`${resource.metadata.name}.yaml`, JSON.stringify(resource, null, 2));
  }

  const args = ['up', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--home', home, '--resources', resources];
  const child = spawn(options.node ?? process.execPath, [MAIN, ...args, ...(options.args ?? [])], {
    env: { ...process.env, ...(options.workers !== undefined && { MCP_GATEWAY_WORKERS: String(options.workers) }), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-MAX_LOG_CHARS);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  let seen: ProcessInfo[] = [];
  const removeHome = (): void => {
    if (!keepsHome) rmSync(home, { recursive: true, force: true });
  };
  const logs = (): string => {
    const file = join(home, 'logs', 'gateway.log');
    return existsSync(file) ? `${output}\n${readFileSync(file, 'utf8')}` : output;
  };
  const failure = (what: string): Error => new Error(`${what}; the gateway's last output:\n${logs().slice(-6000)}`);
  const endEverything = async (): Promise<void> => {
    for (const process_ of [...survivors(seen), ...descendantsOf(child.pid as number)]) tryKill(process_.pid);
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await exited;
  };

  const gatewayFile = join(home, 'gateway.json');
  const info = { url: '', admin: '' };
  if (options.wait !== false) {
    try {
      await waitFor(
        'the gateway to be ready',
        async () => {
          if (child.exitCode !== null || child.signalCode !== null) return 'gone';
          if (!existsSync(gatewayFile)) return false;
          Object.assign(info, JSON.parse(readFileSync(gatewayFile, 'utf8')));
          return (await fetch(`${info.url}/readyz`, { signal: AbortSignal.timeout(2_000) })).status === 200;
        },
        { timeoutMs: START_TIMEOUT_MS },
      );
    } catch (error) {
      seen = descendantsOf(child.pid as number);
      await endEverything();
      removeHome();
      throw failure((error as Error).message);
    }
    if (child.exitCode !== null || child.signalCode !== null) {
      removeHome();
      throw failure(`the gateway left with ${child.exitCode ?? child.signalCode}`);
    }
  }

  return {
    ...info,
    home,
    child,
    backendUrl: (name) => `${info.url}/adapters/${name}/mcp`,
    pids: () => descendantsOf(child.pid as number),
    sidecarPids: () =>
      descendantsOf(child.pid as number)
        .filter(({ command }) => /main\.js worker/.test(command))
        .map(({ pid }) => pid),
    envoyPid() {
      const envoy = descendantsOf(child.pid as number).find(({ command }) => /(^|\/)envoy /.test(command));
      if (envoy === undefined) throw failure('no Envoy runs');
      return envoy.pid;
    },
    writeResource: (resource) => writeFile(`${resource.metadata.name}.yaml`, JSON.stringify(resource, null, 2)),
    removeResource: (name) => rmSync(join(resources, `${name}.yaml`)),
    logs,
    removeHome,
    async stop() {
      seen = descendantsOf(child.pid as number);
      child.kill('SIGTERM');
      const timer = AbortSignal.timeout(STOP_TIMEOUT_MS);
      const result = await Promise.race([
        exited,
        new Promise<undefined>((resolve) => timer.addEventListener('abort', () => resolve(undefined))),
      ]);
      const left = survivors(seen);
      if (result === undefined || left.length > 0) await endEverything();
      removeHome();
      if (result === undefined) throw failure(`the gateway did not stop within ${STOP_TIMEOUT_MS} ms`);
      if (left.length > 0) throw failure(`processes left behind: ${JSON.stringify(left)}`);
      if (result.code !== 0) throw failure(`the gateway left with ${result.code ?? result.signal}`);
    },
    async kill(signal) {
      seen = descendantsOf(child.pid as number);
      child.kill(signal);
      await exited;
    },
  };
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
