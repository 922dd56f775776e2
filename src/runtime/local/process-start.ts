// When a process started: with its pid, what tells it from a later process that got the same pid.

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const PS_TIMEOUT_MS = 2000;
/** Field 22 of /proc/<pid>/stat counted from behind the command's name, which may itself contain blanks and brackets. */
const START_TICKS = 19;

/** An opaque text that never changes while the process lives, or `undefined` when there is no such process. */
export async function processStart(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    try {
      const [stat, boot] = await Promise.all([readFile(`/proc/${pid}/stat`, 'utf8'), readFile('/proc/sys/kernel/random/boot_id', 'utf8')]);
      const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_TICKS];
      return ticks === undefined ? undefined : `${boot.trim()}/${ticks}`;
    } catch {
      return undefined;
    }
  }
  try {
    const { stdout } = await run('ps', ['-o', 'lstart=', '-p', String(pid)], { timeout: PS_TIMEOUT_MS });
    return stdout.trim() === '' ? undefined : stdout.trim();
  } catch {
    return undefined;
  }
}
