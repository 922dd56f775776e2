// The processes that decide about requests, and the socket by which their supervisor tells them what it knows.

import { unwatchFile, watchFile } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Settings } from '../config/settings.ts';
import { limited } from '../core/within.ts';
import type { Directory } from '../directory/directory.ts';
import type { ChildrenFile } from '../runtime/local/children-file.ts';
import { inheritedEnvironment } from '../runtime/local/environment.ts';
import { loadRing } from '../session/key-file.ts';
import type { RingKey } from '../session/key-ring.ts';
import { readTraceSettings, traceEnvironment } from '../telemetry/trace-settings.ts';
import { createClosers } from './closers.ts';
import type { Home } from './home.ts';
import { type LinkServer, type LinkServerOptions, startLinkServer } from './link-server.ts';
import { SIDECAR_NODE_FLAGS, sidecarOptions } from './sidecar-options.ts';
import { supervise } from './supervised.ts';

/** The program itself: how its further processes are started. */
export const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
const KEY_POLL_MS = 1_000;
const START_TIMEOUT_MS = 30_000;
const GRACE_MS = 5_000;

export interface WorkersOptions extends Pick<LinkServerOptions, 'local' | 'onWanted'> {
  readonly settings: Settings;
  readonly env: NodeJS.ProcessEnv;
  readonly home: Pick<Home, 'path' | 'logs' | 'link' | 'sidecarSockets'>;
  readonly directory: Directory;
  /** What is in `settings.keyFile` now; it is followed from here on. */
  readonly keys: readonly RingKey[];
  readonly children: ChildrenFile;
  readonly output: (chunk: Buffer) => void;
  /** Where the lines of the audit log go that a worker writes to its standard output. */
  readonly passAudit: (lines: string) => void;
  readonly log: Logger;
}

export interface Workers {
  readonly link: LinkServer;
  readonly sockets: readonly { readonly grpc: string; readonly http: string }[];
  readonly pids: () => (number | undefined)[];
  /** Resolves when all of them decide. @throws Error with one line when they do not start. */
  started(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { settings, env, home, directory, local, keys, children, output, passAudit, log, onWanted } = options;
  const closers = createClosers();
  let announceReady = (): void => {};
  const link = await startLinkServer({ socket: home.link, directory, local, keys, onReady: () => announceReady(), onWanted });
  closers.add(() => link.close());
  const { keyFile } = settings;
  watchFile(keyFile, { interval: KEY_POLL_MS }, () => {
    loadRing(keyFile).then(
      (next) => link.publishKeys(next),
      (err: unknown) => log.error({ err }, 'key ring not read: the last one stays in force'),
    );
  });
  closers.add(() => unwatchFile(keyFile));
  const traces = readTraceSettings(env);
  const sidecars = Array.from({ length: settings.workers }, (_, index) => ({ name: `sidecar-${index}`, ...home.sidecarSockets(index) }));
  const running = sidecars.map((sidecar) =>
    supervise({
      name: sidecar.name,
      command: [process.execPath, ...SIDECAR_NODE_FLAGS, MAIN, 'worker', JSON.stringify(sidecarOptions(sidecar, home.link, settings))],
      env: {
        ...inheritedEnvironment(env),
        ...(traces.settings && traceEnvironment(env)),
        ...(settings.redisUrl === undefined ? {} : { REDIS_URL: settings.redisUrl }),
      },
      cwd: home.path,
      children,
      output,
      // Nothing but the audit log is written there.
      ...(settings.auditLog === 'stdout' && { stdout: (lines: Buffer) => passAudit(lines.toString()) }),
      log,
      stopGraceMs: GRACE_MS,
    }),
  );
  closers.add(async () => {
    link.dismiss();
    await Promise.all(running.map((sidecar) => sidecar.stop()));
  });
  return {
    link,
    sockets: sidecars,
    pids: () => running.map((sidecar) => sidecar.pid()),
    started: (signal) =>
      new Promise<void>((resolve, reject) => {
        const deadline = limited(signal, START_TIMEOUT_MS);
        announceReady = () => link.ready().size >= settings.workers && resolve();
        deadline.addEventListener(
          'abort',
          () => reject(signal.aborted ? signal.reason : new Error(`the sidecar did not start: see ${home.logs}/gateway.log`)),
          { once: true },
        );
        announceReady();
      }),
    close: closers.close,
  };
}
