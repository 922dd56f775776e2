// Keeps one process of the gateway's own running: restarted with back-off when it ends, stopped as a group.

import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createBackoff } from '../runtime/local/backoff.ts';
import type { ChildrenFile } from '../runtime/local/children-file.ts';
import { type ProcessGroup, spawnGroup } from '../runtime/local/process-group.ts';

export interface SupervisedOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Record<string, string>;
  readonly cwd: string;
  readonly children: ChildrenFile;
  readonly output: (chunk: Buffer) => void;
  /** Where its standard output goes, if not to `output` as well. */
  readonly stdout?: (chunk: Buffer) => void;
  readonly log: Logger;
  /** After SIGTERM. */
  readonly stopGraceMs: number;
}

export interface Supervised {
  readonly pid: () => number | undefined;
  /** Stops the process and its restarts; bounded by the grace and two seconds. */
  stop(): Promise<void>;
}

/** Starts at once. A successor starts only after its predecessor has ended: they share socket paths. */
export function supervise(options: SupervisedOptions): Supervised {
  const { name, command, env, cwd, children, output, stdout = output, log, stopGraceMs } = options;
  const stopping = new AbortController();
  const backoff = createBackoff({ now: () => performance.now() });
  let current: ProcessGroup | undefined;

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        current = await spawnGroup({ command, env, cwd, stdin: 'ignore' });
        // It was being started when `stop` came, which could not see it.
        if (stopping.signal.aborted) void current.stop(stopGraceMs);
        await children.add(current.pid);
        current.stdout.on('data', wholeLines(stdout));
        current.stderr.on('data', wholeLines(output));
        backoff.healthy(true);
        const { reason } = await current.ended;
        await children.remove(current.pid);
        current = undefined;
        if (!stopping.signal.aborted) log.warn({ name, reason }, 'process ended, starting it again');
      } catch (err) {
        log.error({ name, err }, 'process not started');
      }
      await delay(backoff.next(), undefined, { signal: stopping.signal }).catch(() => {});
    }
  };
  const running = run();

  return {
    pid: () => current?.pid,
    async stop() {
      stopping.abort();
      await current?.stop(stopGraceMs);
      await running;
    },
  };
}

/** A longer line is passed on in pieces. */
const MAX_LINE_BYTES = 65_536;

/** Several processes write to one file: none may cut the line of another. */
function wholeLines(write: (chunk: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const text = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = text.length > MAX_LINE_BYTES ? text.length : text.lastIndexOf(0x0a) + 1;
    if (end > 0) write(text.subarray(0, end));
    rest = Buffer.from(text.subarray(end));
  };
}
