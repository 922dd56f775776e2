// The processes that a test sees: descendants of one process, and whether a process is alive.

import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

const GONE_TIMEOUT_MS = 10_000;

/** One line of `ps`. */
export interface ProcessInfo {
  readonly pid: number;
  readonly ppid: number;
  readonly command: string;
}

function allProcesses(): ProcessInfo[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,command='], { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 })
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
    .filter(([, , , stat]) => !(stat as string).startsWith('Z'))
    .map(([, pid, ppid, , command]) => ({ pid: Number(pid), ppid: Number(ppid), command: command as string }));
}

/** @returns all living descendants of a process, parents before children, without itself. */
export function descendantsOf(pid: number): ProcessInfo[] {
  const processes = allProcesses();
  const found: ProcessInfo[] = [];
  let parents = new Set([pid]);
  while (parents.size > 0) {
    const children = processes.filter((process) => parents.has(process.ppid));
    found.push(...children);
    parents = new Set(children.map((child) => child.pid));
  }
  return found;
}

/** @returns those of the given processes that still live (a pid with another command is another process). */
export function survivors(processes: readonly ProcessInfo[]): ProcessInfo[] {
  const living = new Map(allProcesses().map((process) => [process.pid, process.command]));
  return processes.filter((process) => living.get(process.pid) === process.command);
}

/**
 * Kills a process and waits until it is gone and reaped. Until then its sockets still take bytes: a request that is written in these
 * milliseconds is neither refused nor processed, and nobody can tell.
 *
 * @throws when it is not gone in time.
 */
export async function killAndWait(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  const deadline = Date.now() + GONE_TIMEOUT_MS;
  while (exists(pid)) {
    if (Date.now() > deadline) throw new Error(`process ${pid} does not go away`);
    await delay(1);
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
