// The server as the main process of its container: its output is the container's, signals reach it, and its end is the container's.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { stopGroup } from '../local/process-group.ts';

/** What a container's main process may be told. The first process of a container gets none of these unless it listens. */
const FORWARDED = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const;
/** What a server leaves running when it ends gets so long after SIGTERM. */
const LEFTOVER_GRACE_MS = 1000;
/** Shells' way to say that a signal ended a process. */
const SIGNALLED = 128;

/** The exit code for an end by a signal. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return SIGNALLED + constants.signals[signal];
}

/**
 * Runs a command to its end and resolves with its exit code. Signals of this process go to the command's whole process group (programs
 * that are started by a script get them too); what is left of the group afterwards is ended. Rejects when it cannot be started.
 */
export async function runMainProcess(options: {
  command: readonly string[];
  cwd: string;
  env: Record<string, string>;
  signals?: NodeJS.EventEmitter;
}): Promise<number> {
  const { command, cwd, env, signals = process } = options;
  const [program = '', ...args] = command;
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
  const { pid } = child;
  const forward = (signal: NodeJS.Signals): void => {
    try {
      if (pid !== undefined) process.kill(-pid, signal);
    } catch {
      // It has just ended.
    }
  };
  // In the same turn: a signal that came before anybody listens would end this process alone.
  for (const signal of FORWARDED) signals.on(signal, forward);
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 0) : exitCodeOf(signal)));
  });
  try {
    await once(child, 'spawn').catch((error: NodeJS.ErrnoException) => {
      throw new Error(`cannot start ${program}: ${error.code === 'ENOENT' ? 'there is no such program' : (error.code ?? error.message)}`);
    });
    child.on('error', () => undefined);
    const code = await ended;
    await stopGroup(pid as number, LEFTOVER_GRACE_MS);
    return code;
  } finally {
    for (const signal of FORWARDED) signals.off(signal, forward);
  }
}
