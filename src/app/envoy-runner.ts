// Envoy as a process of the local gateway: configured, started, kept running, drained and stopped.

import { mkdir, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { limited } from '../core/within.ts';
import { createEnvoyAdmin } from '../envoy/admin.ts';
import { type BootstrapOptions, renderBootstrap, renderTlsSecret } from '../envoy/bootstrap.ts';
import type { ChildrenFile } from '../runtime/local/children-file.ts';
import { type Supervised, supervise } from './supervised.ts';

const START_TIMEOUT_MS = 30_000;
const POLL_MS = 50;
const STOP_GRACE_MS = 3_000;

export interface EnvoyRunnerOptions {
  readonly binary: string;
  readonly configFile: string;
  readonly bootstrap: BootstrapOptions;
  readonly concurrency: number;
  readonly drainTimeoutMs: number;
  readonly cwd: string;
  readonly children: ChildrenFile;
  readonly output: (chunk: Buffer) => void;
  readonly log: Logger;
}

export interface EnvoyRunner {
  /** What clients connect to: the port is known even when 0 was asked for. */
  readonly address: { readonly host: string; readonly port: number };
  readonly pid: () => number | undefined;
  ready(): Promise<boolean>;
  /** Lets requests under way finish, at most for the drain timeout or until `hurry` fires; event streams are then cut. */
  drain(hurry: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/** @throws Error with one line when Envoy does not start; nothing is left running then. */
export async function startEnvoy(options: EnvoyRunnerOptions, signal: AbortSignal): Promise<EnvoyRunner> {
  const { binary, configFile, bootstrap, concurrency, drainTimeoutMs, cwd, children, output, log } = options;
  await assertFree(bootstrap.listen);
  await writeEnvoyConfig(configFile, bootstrap);
  const admin = createEnvoyAdmin(bootstrap.adminSocket);
  let said = '';
  const envoy: Supervised = supervise({
    name: 'envoy',
    command: [
      ...[binary, '-c', configFile, '--concurrency', String(concurrency), '--disable-hot-restart', '--log-level', 'warning'],
      ...['--drain-time-s', String(Math.max(1, Math.ceil(drainTimeoutMs / 1000)))],
    ],
    env: {},
    cwd,
    children,
    output: (chunk) => {
      said = (said + chunk.toString()).slice(-4_000);
      output(chunk);
    },
    log,
    stopGraceMs: STOP_GRACE_MS,
  });
  try {
    const deadline = limited(signal, START_TIMEOUT_MS);
    while (!(await admin.ready())) await delay(POLL_MS, undefined, { signal: deadline });
    const address = await admin.listenAddress();
    // A restarted Envoy must listen where the first one did.
    await writeEnvoyConfig(configFile, { ...bootstrap, listen: address });
    return {
      address,
      pid: envoy.pid,
      ready: admin.ready,
      async drain(hurry) {
        const end = limited(hurry, Math.max(1, drainTimeoutMs));
        try {
          await admin.drain();
          while ((await admin.activeRequests()) > 0) await delay(POLL_MS, undefined, { signal: end });
        } catch {
          // Out of time, or Envoy is gone already: either way there is nothing left to wait for.
        }
      },
      stop: envoy.stop,
    };
  } catch (error) {
    await envoy.stop();
    signal.throwIfAborted();
    throw new Error(`Envoy did not start: ${lastLine(said) ?? (error as Error).message}`);
  }
}

/** Whole from the first moment on: Envoy may be about to read it. @throws Error with one line. */
export async function writeEnvoyConfig(file: string, bootstrap: BootstrapOptions): Promise<void> {
  if (bootstrap.tls) await writeWhole(bootstrap.tls.secretFile, renderTlsSecret(bootstrap.tls));
  await writeWhole(file, renderBootstrap(bootstrap));
}

async function writeWhole(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.tmp`;
  await writeFile(temporary, text, { mode: 0o600 });
  await rename(temporary, file);
}

/** Envoy itself would retry or die with a page of text. */
function assertFree({ host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  if (port === 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      const where = `${host}:${port}`;
      reject(
        new Error(
          error.code === 'EADDRINUSE'
            ? `the address ${where} is in use: choose another one with --listen`
            : `cannot listen on ${where}: ${error.message}`,
        ),
      );
    });
    probe.listen(port, host, () => probe.close(() => resolve()));
  });
}

function lastLine(text: string): string | undefined {
  return text.split('\n').findLast((line) => /\]\[(critical|error)\]/.test(line));
}
