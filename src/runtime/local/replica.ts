// One of a backend's processes: started, asked how it is, started again when it ends, until it is stopped.

import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { BackendResource } from '../../config/resources.ts';
import type { InstanceId } from '../../core/ids.ts';
import type { Instance, InstanceState } from '../../directory/snapshot.ts';
import { createBackoff } from './backoff.ts';
import type { ChildrenFile } from './children-file.ts';
import { commandLine } from './command.ts';
import { type Environment, processEnvironment } from './environment.ts';
import { type HealthTiming, watchHealth } from './health.ts';
import type { LogFile } from './log-file.ts';
import type { PackageStore } from './package-store.ts';
import type { Ports } from './ports.ts';
import { createProbe, type ProbeResult } from './probe.ts';
import { type ProcessGroup, spawnGroup } from './process-group.ts';

/** So many failed starts in a row, and nobody should go on waiting for this process to become ready. */
const FAILED_STARTS = 3;
/** How long the output of a group that has ended may still take to arrive. */
const LAST_OUTPUT_MS = 500;

/** What processes of all backends share. */
export interface ReplicaShared {
  readonly home: string;
  readonly environment: Environment;
  readonly bridgeCommand: readonly string[];
  readonly packages: PackageStore;
  readonly ports: Ports;
  readonly children: ChildrenFile;
  readonly stopGraceMs: number;
  readonly healthTiming: HealthTiming;
  readonly now: () => number;
}

/** How one process is doing, for people. `since`: when its present state began, milliseconds since the epoch. */
export interface InstanceStatus {
  readonly id: InstanceId | undefined;
  readonly pid: number | undefined;
  readonly address: string | undefined;
  readonly state: InstanceState | 'preparing' | 'restarting' | 'stopped';
  readonly restarts: number;
  readonly since: number;
  readonly lastError: string | undefined;
  readonly log: string;
}

export interface Replica {
  readonly ordinal: number;
  /** What the directory is told; `undefined` while no process runs. */
  instance(): Instance | undefined;
  status(): InstanceStatus;
  /** Ready, or failed so often that waiting is pointless. */
  settled(): boolean;
  /** Takes no new sessions any more; is not restarted. */
  drain(): void;
  /** Ends the process and everything that it started; bounded. */
  stop(): Promise<void>;
}

/** Starts supervising at once. `current` gives the latest declaration (the process key never changes within one replica). */
export function createReplica(options: {
  shared: ReplicaShared;
  current: () => BackendResource;
  ordinal: number;
  logFile: LogFile;
  log: Logger;
  /** Something that `instance()` or `status()` shows is different now. */
  onChange: () => void;
}): Replica {
  const { shared, current, ordinal, logFile, onChange } = options;
  const resource = current();
  const log = options.log.child({ backend: resource.name, replica: ordinal });
  const backoff = createBackoff({ now: shared.now });
  const stopping = new AbortController();
  const folder = join(shared.home, 'work', resource.name);

  let instance: Instance | undefined;
  let pid: number | undefined;
  let state: InstanceStatus['state'] = 'preparing';
  let since = Date.now();
  let draining = false;
  let starts = 0;
  let failedStarts = 0;
  let timedOut = false;
  let lastError: string | undefined;
  let hinted = false;

  function enter(next: InstanceStatus['state']): void {
    if (state !== next) {
      state = next;
      since = Date.now();
    }
    if (instance !== undefined && (next === 'starting' || next === 'ready' || next === 'draining')) {
      instance = { ...instance, state: next };
    }
    onChange();
  }

  async function supervise(): Promise<void> {
    while (!stopping.signal.aborted && !draining) {
      lastError = await runOnce().catch((error: Error) => error.message);
      instance = undefined;
      pid = undefined;
      if (stopping.signal.aborted || draining) {
        break;
      }
      failedStarts += 1;
      const delayMs = backoff.next();
      log.warn({ reason: lastError, delayMs, starts }, 'server process ended');
      enter('restarting');
      await delay(delayMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
    enter('stopped');
  }

  /** One life of a process; resolves with the reason of its end. */
  async function runOnce(): Promise<string> {
    const port = await shared.ports.free();
    enter('preparing');
    const { packages, bridgeCommand } = shared;
    const command = await commandLine({ resource: current(), port, packages, bridgeCommand, signal: stopping.signal });
    const { env: variables } = current().spec;
    const env = await processEnvironment({ home: shared.home, environment: shared.environment, variables, port });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    stopping.signal.throwIfAborted();
    const stdin = resource.spec.transport === 'stdio' ? 'pipe' : 'ignore';
    const group = await spawnGroup({ command, env, cwd: folder, stdin }).catch((error: NodeJS.ErrnoException) => {
      throw new Error(`cannot start ${command[0]}: ${error.code ?? error.message}`);
    });
    starts += 1;
    pid = group.pid;
    instance = { id: randomUUID() as InstanceId, address: `127.0.0.1:${port}`, state: 'starting' };
    log.info({ process: pid, instance: instance.id, address: instance.address }, 'server process started');
    const output = keepOutput(group);
    enter('starting');
    const recorded = shared.children.add(group.pid);
    const reason = await life(group, port);
    // At once, before the group is gone: no request may be sent there any more.
    instance = undefined;
    lastError = reason;
    enter(stopping.signal.aborted || draining ? 'stopped' : 'restarting');
    await group.stop(shared.stopGraceMs);
    await Promise.race([output, delay(LAST_OUTPUT_MS)]);
    await recorded;
    await shared.children.remove(group.pid);
    return reason;
  }

  async function life(group: ProcessGroup, port: number): Promise<string> {
    const over = new AbortController();
    const probe = createProbe();
    const target = { host: '127.0.0.1', port, remote: undefined };
    const stopped = new Promise<string>((resolve) => {
      const end = (): void => resolve('stopped');
      stopping.signal.addEventListener('abort', end, { once: true, signal: over.signal });
      if (stopping.signal.aborted) {
        end();
      }
    });
    try {
      const health = watchHealth({
        probe: (signal) => probe({ healthCheck: current().spec.healthCheck, path: current().spec.path }, target, signal),
        onResult: takeVerdict,
        startTimeoutMs: () => (draining ? undefined : current().spec.scaling.startTimeout),
        signal: over.signal,
        timing: shared.healthTiming,
      }).then((reason) => {
        timedOut ||= !over.signal.aborted;
        return `not ready within ${current().spec.scaling.startTimeout} ms: ${reason ?? 'stopped'}`;
      });
      return await Promise.race([group.ended.then(({ reason }) => `process ended: ${reason}`), health, stopped]);
    } finally {
      over.abort();
    }
  }

  function takeVerdict({ ready, result }: { ready: boolean; result: ProbeResult }): void {
    backoff.healthy(result.ok);
    if (result.ok) {
      failedStarts = 0;
      timedOut = false;
    } else if (state !== 'starting' || result.hint !== undefined) {
      lastError = result.hint === undefined ? result.reason : `${result.reason}; ${result.hint}`;
    }
    if (!result.ok && result.hint !== undefined && !hinted) {
      hinted = true;
      log.warn({ reason: result.reason, hint: result.hint }, 'health check asks for something the server does not have');
    }
    const next = draining ? 'draining' : ready ? 'ready' : 'starting';
    if (next !== state) {
      log.info({ instance: instance?.id, state: next, ...(result.ok ? {} : { reason: result.reason }) }, 'server process state');
      enter(next);
    }
  }

  /** Resolves when the process's output has ended and is written. */
  async function keepOutput({ stdout, stderr }: ProcessGroup): Promise<void> {
    const copy = async (stream: AsyncIterable<Buffer>): Promise<void> => {
      // Waiting for each write hands the disk's pace on to the process.
      for await (const chunk of stream) {
        await logFile.write(chunk);
      }
    };
    await Promise.allSettled([copy(stdout), copy(stderr)]);
  }

  const supervision = supervise();
  return {
    ordinal,
    instance: () => instance,
    status: () => ({
      id: instance?.id,
      pid: instance === undefined ? undefined : pid,
      address: instance?.address,
      state,
      restarts: Math.max(0, starts - 1),
      since,
      lastError,
      log: logFile.path,
    }),
    settled: () => instance?.state === 'ready' || timedOut || failedStarts >= FAILED_STARTS,
    drain() {
      draining = true;
      if (instance === undefined) {
        stopping.abort();
      } else {
        enter('draining');
      }
    },
    stop() {
      stopping.abort();
      return supervision;
    },
  };
}
