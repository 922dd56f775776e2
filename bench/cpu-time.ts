// CPU time of processes, as Linux counts it in /proc.

import { readFileSync } from 'node:fs';

/** Linux reports times in hundredths of a second whatever its own clock. */
const MICROSECONDS_PER_TICK = 10_000;

/** User and system time of all threads since the process began, in microseconds; undefined where there is no /proc, or no such process. */
export function cpuMicroseconds(pid: number): number | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses, which may contain anything: fields are counted from behind it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MICROSECONDS_PER_TICK;
}

/** The sum over some processes; undefined when one of them cannot be read. */
export function sumCpu(pids: readonly number[]): number | undefined {
  let sum = 0;
  for (const pid of pids) {
    const time = cpuMicroseconds(pid);
    if (time === undefined) return undefined;
    sum += time;
  }
  return sum;
}
