// A long-running program of the cluster, as a child of the tests: its output goes to a file, and it never outlives them.

import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

const STOP_TIMEOUT_MS = 20_000;
const TAIL_LINES = 12;

export interface Daemon {
  readonly pid: number;
  isAlive(): boolean;
  /** The last lines that it wrote. */
  tail(): string;
  /** @throws Error with its last lines when it has ended */
  check(): void;
  /** Resolves when it is gone. SIGTERM is followed by SIGKILL when it takes too long. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

export interface DaemonOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly env?: NodeJS.ProcessEnv;
}

export function startDaemon({ command, args, logFile, env = process.env }: DaemonOptions): Daemon {
  const log = openSync(logFile, 'a');
  const child = spawn(command, args, { stdio: ['ignore', log, log], env });
  closeSync(log);
  let failure: Error | undefined;
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', (error) => {
      failure = error;
      resolve();
    });
  });
  const isAlive = () => failure === undefined && child.exitCode === null && child.signalCode === null;
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  void gone.then(() => process.off('exit', kill));
  const tail = () => failure?.message ?? readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  return {
    pid: child.pid ?? -1,
    isAlive,
    tail,
    check() {
      if (!isAlive()) throw new Error(`${basename(command)} has ended (${child.signalCode ?? child.exitCode}):\n${tail()}`);
    },
    async stop(signal = 'SIGTERM') {
      if (isAlive()) child.kill(signal);
      const late = setTimeout(kill, STOP_TIMEOUT_MS);
      await gone;
      clearTimeout(late);
    },
  };
}
