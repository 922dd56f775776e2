// Starts the processes of a run and ends them all, also when the run fails half-way.

import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

/** After SIGTERM. The gateway drains first, and it ends its own children. */
const STOP_GRACE_MS = 15_000;
/** What is kept of a process's output for failure messages. */
const MAX_OUTPUT_CHARS = 16_384;
const POLL_MS = 20;

export interface StartOptions {
  readonly name: string;
  readonly command: readonly string[];
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

export interface Started {
  readonly pid: number;
  /** Waits for a condition, but not longer than the process lives. @throws with the process's last output. */
  until<T>(what: string, condition: () => Promise<T | undefined> | T | undefined, timeoutMs: number): Promise<T>;
  stop(): Promise<void>;
}

export function startProcess({ name, command, cwd, env }: StartOptions, signal: AbortSignal): Started {
  const child: ChildProcess = spawn(command[0] as string, command.slice(1), {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    // In a session of its own, as the gateway starts its processes: Linux shares the CPU out among sessions (autogroup), so on a
    // busy machine processes that sit together with the generator would have other latencies than those of the gateway.
    detached: true,
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-MAX_OUTPUT_CHARS);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  let ended: string | undefined;
  const exited = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      ended = error.message;
      resolve();
    });
    child.once('exit', (code, signalName) => {
      ended = `it ended with ${code ?? signalName}`;
      resolve();
    });
  });

  return {
    pid: child.pid ?? -1,
    async until(what, condition, timeoutMs) {
      const deadline = Date.now() + timeoutMs;
      for (;;) {
        signal.throwIfAborted();
        const value = await condition();
        if (value !== undefined) return value;
        const why = ended ?? (Date.now() > deadline ? `not within ${timeoutMs} ms` : undefined);
        if (why !== undefined) throw new Error(`${name}: ${what}: ${why}\n${output}`);
        await delay(POLL_MS);
      }
    },
    async stop() {
      if (ended !== undefined) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}
