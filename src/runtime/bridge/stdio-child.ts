// One stdio server process: a line in, lines out, and an end that is polite first.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { createLineSplitter } from './lines.ts';

/** The specification's way to end a stdio server: close its input, then SIGTERM, then SIGKILL. */
const INPUT_CLOSED_GRACE_MS = 1000;
const TERMINATE_GRACE_MS = 2000;
/** How long the output of a process that has ended may go on: something that it started may hold the pipe open for ever. */
const LAST_OUTPUT_MS = 1000;
/** Longer lines of a log are cut into several. */
const MAX_STDERR_LINE_BYTES = 65_536;

/** What to run for each session. `env: undefined` inherits the bridge's environment. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Record<string, string> | undefined;
  readonly cwd: string | undefined;
}

export interface StdioChild {
  readonly pid: number;
  /** Writes one message as a line; false when the process does not read and too much is waiting already. */
  write(message: Buffer): boolean;
  /** Stops reading the process's output until `resume`. */
  pause(): void;
  resume(): void;
  /** Resolves with the way it ended, when all of its output has been read. */
  readonly ended: Promise<string>;
  /** Ends it, in bounded time. */
  stop(): Promise<void>;
}

/** Starts the server. Rejects when it cannot be started. The child stays in the bridge's process group, and ends with it. */
export async function startChild(options: {
  server: ServerCommand;
  onLine: (line: Buffer) => void;
  onTooLong: () => void;
  errorOutput: Writable;
  /** Stands in front of each line of the child's stderr. */
  prefix: string;
  maxLineBytes: number;
  maxWaitingBytes: number;
}): Promise<StdioChild> {
  const { server, onLine, onTooLong, errorOutput, prefix } = options;
  const child = spawn(server.command, server.args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(server.env === undefined ? {} : { env: server.env }),
    ...(server.cwd === undefined ? {} : { cwd: server.cwd }),
  });
  child.stdin.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
      child.once('close', () => resolve(how));
      setTimeout(() => resolve(how), LAST_OUTPUT_MS).unref();
    });
  });
  await once(child, 'spawn');
  child.on('error', () => undefined);
  child.stdout.on('data', createLineSplitter({ maxBytes: options.maxLineBytes, onLine, onTooLong }));
  const copyLine = (line: Buffer): void => void errorOutput.write(Buffer.concat([Buffer.from(prefix), line, Buffer.from('\n')]));
  child.stderr.on('data', createLineSplitter({ maxBytes: MAX_STDERR_LINE_BYTES, onLine: copyLine, onTooLong: () => undefined }));
  let stopping: Promise<void> | undefined;
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));

  async function stop(): Promise<void> {
    child.stdin.end();
    child.stdout.resume();
    for (const [graceMs, signal] of [
      [INPUT_CLOSED_GRACE_MS, 'SIGTERM'],
      [TERMINATE_GRACE_MS, 'SIGKILL'],
    ] as const) {
      if (await within(exited, graceMs)) {
        break;
      }
      child.kill(signal);
    }
    await exited;
    // Grandchildren may hold the pipes open: nobody will read from them any more.
    child.stdout.destroy();
    child.stderr.destroy();
  }

  return {
    pid: child.pid as number,
    write(message) {
      if (child.stdin.writableLength > options.maxWaitingBytes) {
        return false;
      }
      child.stdin.write(Buffer.concat([message, Buffer.from('\n')]));
      return true;
    },
    pause: () => void child.stdout.pause(),
    resume: () => void child.stdout.resume(),
    ended,
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}

async function within(event: Promise<void>, limitMs: number): Promise<boolean> {
  const limit = new AbortController();
  const late = delay(limitMs, false, { signal: limit.signal }).catch(() => false);
  const inTime = await Promise.race([event.then(() => true), late]);
  limit.abort();
  return inTime;
}
