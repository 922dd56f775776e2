// CPU time of processes, as Linux counts it in /proc.

import { readdirSync, readFileSync } from 'node:fs';

/** User and system time of all threads that a process has now, in microseconds; undefined where Linux does not tell, or without such a process. */
function cpuMicroseconds(pid: number): number | undefined {
  try {
    let nanoseconds = 0;
    // Unlike /proc/<pid>/stat, which counts in hundredths of a second, this is exact.
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
    }
    return nanoseconds / 1000;
  } catch {
    return undefined;
  }
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
