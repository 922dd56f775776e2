// What a run was made on: figures of two machines cannot be compared, and who reads them must see that.

import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem, type } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly envoy: string;
  /** Of the repository; `+` when files were changed since. Undefined outside of one. */
  readonly commit: string | undefined;
  /** Processes that wanted to run during the last minute before the run. */
  readonly loadBefore: number;
}

export function describeMachine(envoy: string, repository: string): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.version,
    envoy,
    commit: commitOf(repository),
    loadBefore: Math.round((loadavg()[0] as number) * 10) / 10,
  };
}

function commitOf(repository: string): string | undefined {
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'src', 'envoy', 'proto', 'bench').trim() !== '';
    return `${git('rev-parse', '--short', 'HEAD').trim()}${changed ? '+' : ''}`;
  } catch {
    return undefined;
  }
}
