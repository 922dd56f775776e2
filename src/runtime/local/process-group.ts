// One child process with everything it starts: spawned as a process group, stopped as a process group.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';

/** How long a group may take to end after SIGTERM before it gets SIGKILL. */
export const DEFAULT_STOP_GRACE_MS = 5000;
/** SIGKILL cannot be refused, but a process in the kernel's hands can linger: then it is given up. */
const AFTER_KILL_MS = 2000;
const GROUP_POLL_MS = 25;

/** How a process ended, in words: `exit code 1`, `signal SIGKILL`. */
export interface ProcessEnd {
  readonly reason: string;
  readonly code: number | null;
}

export interface ProcessGroup {
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the leader has ended; never rejects. */
  readonly ended: Promise<ProcessEnd>;
  /** SIGTERM to the whole group, SIGKILL after the grace; resolves when no member is left (or it was given up). */
  stop(graceMs?: number): Promise<void>;
}

/** What to run. `stdin: 'pipe'` for programs that end when their parent's end of it closes. */
export interface SpawnOptions {
  readonly command: readonly string[];
  readonly env: Record<string, string>;
  readonly cwd: string;
  readonly stdin: 'ignore' | 'pipe';
}

/** Starts a process as leader of a group of its own. Rejects when it cannot be started (no such program, not executable). */
export async function spawnGroup({ command, env, cwd, stdin }: SpawnOptions): Promise<ProcessGroup> {
  const [program, ...args] = command;
  if (program === undefined) {
    throw new Error('nothing to run');
  }
  const child = spawn(program, args, { cwd, env, stdio: [stdin, 'pipe', 'pipe'], detached: true });
  const ended = new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, reason: signal === null ? `exit code ${code}` : `signal ${signal}` }));
  });
  child.stdin?.on('error', () => undefined);
  await once(child, 'spawn');
  child.on('error', () => undefined);
  const pid = child.pid as number;
  // A leader that dies takes its group with it: nothing that it started may outlive it. SIGTERM is polite; the caller's stop() is thorough.
  void ended.then(() => signalGroup(pid, 'SIGTERM'));
  let stopping: Promise<void> | undefined;
  return {
    pid,
    stdin: child.stdin,
    stdout: child.stdout as Readable,
    stderr: child.stderr as Readable,
    ended,
    stop(graceMs = DEFAULT_STOP_GRACE_MS) {
      stopping ??= stopGroup(pid, graceMs);
      return stopping;
    },
  };
}

/** Ends a whole group by its leader's pid: SIGTERM, then SIGKILL. Resolves when it is empty, within `graceMs` + 2 s. */
export async function stopGroup(pid: number, graceMs: number): Promise<void> {
  signalGroup(pid, 'SIGTERM');
  if (await groupGone(pid, graceMs)) {
    return;
  }
  signalGroup(pid, 'SIGKILL');
  await groupGone(pid, AFTER_KILL_MS);
}

/** Signals a group; false when it has no member left. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}

/** There is no event for "the group is empty": only the leader is our child, so the others have to be asked for. */
async function groupGone(pid: number, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (signalGroup(pid, 0)) {
    if (performance.now() >= deadline) {
      return false;
    }
    await delay(GROUP_POLL_MS);
  }
  return true;
}
