// `--profile`: where a sidecar spends its time with 32 requests in flight.

import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Generator } from './generator-link.ts';
import { type CpuProfile, renderProfile } from './profile-report.ts';
import { warmUp } from './rounds.ts';
import type { Variant } from './variant.ts';

const SAMPLE_EVERY_US = 200;
const WRITE_TIMEOUT_MS = 20_000;
const IN_FLIGHT = 32;

/** Variants with a sidecar of the gateway. */
export const PROFILED = ['gateway', 'policed'] as const;
export type ProfiledVariant = (typeof PROFILED)[number];

/**
 * The supervisor gives its sidecars neither flags nor NODE_OPTIONS, so the profiler is in front of the program: a copy of dist/
 * whose main.js starts and ends a profile at SIGUSR2 when the process is a sidecar.
 */
const PROFILED_MAIN = `#!/usr/bin/env node
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';

if (process.argv[2] === 'worker') {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: ${SAMPLE_EVERY_US} });
  let running = false;
  process.on('SIGUSR2', () => {
    if (running) {
      session.post('Profiler.stop', (_, { profile }) => {
        writeFileSync(new URL('./' + process.pid + '.cpuprofile', import.meta.url), JSON.stringify(profile));
      });
    } else session.post('Profiler.start');
    running = !running;
  });
}
await import('./profiled-main.js');
`;

/** A copy of the built gateway for `--profile`. @returns its folder. */
export function profiledCopy(dist: string, folder: string): string {
  const copy = join(folder, 'dist');
  cpSync(dist, copy, { recursive: true });
  renameSync(join(copy, 'main.js'), join(copy, 'profiled-main.js'));
  writeFileSync(join(copy, 'main.js'), PROFILED_MAIN);
  for (const name of ['node_modules', 'envoy', 'proto', 'package.json']) symlinkSync(join(dirname(dist), name), join(folder, name));
  return copy;
}

export interface ProfileOptions {
  readonly generator: Generator;
  readonly variant: Variant;
  /** The copy that runs. */
  readonly dist: string;
  readonly out: string;
  readonly measureMs: number;
}

/** Writes `profile-<variant>-<date>-<n>.cpuprofile` for each sidecar (open it in Chrome's or VS Code's profiler). @returns the summary. */
export async function profileSidecar({ generator, variant, dist, out, measureMs }: ProfileOptions): Promise<string> {
  const { targets, sessions, pids } = variant;
  const sidecars = pids['sidecar'] ?? [];
  const phase = { what: 'calls', inFlight: IN_FLIGHT, targets, sessions, pids } as const;
  await warmUp(generator, variant);
  const toggle = (): void => {
    for (const pid of sidecars) process.kill(pid, 'SIGUSR2');
  };
  toggle();
  const result = await generator.run({ ...phase, warmMs: 100, measureMs });
  toggle();
  const deadline = Date.now() + WRITE_TIMEOUT_MS;
  const written = (): string[] => readdirSync(dist).filter((name) => name.endsWith('.cpuprofile'));
  while (written().length < sidecars.length) {
    if (Date.now() > deadline) throw new Error('the sidecar wrote no profile');
    await delay(100);
  }
  await delay(500);
  if (result.failures > 0) throw new Error(`${result.failures} wrong answers: ${result.samples.join(' | ')}`);

  mkdirSync(out, { recursive: true });
  const texts = written().map((name, index) => {
    const text = readFileSync(join(dist, name), 'utf8');
    const file = join(out, `profile-${variant.name}-${new Date().toISOString().slice(0, 10)}-${index}.cpuprofile`);
    writeFileSync(file, text);
    const requests = Math.round((result.answers * (measureMs + 100)) / measureMs / sidecars.length);
    return `${file}\n\n${renderProfile(JSON.parse(text) as CpuProfile, requests)}`;
  });
  const rate = (result.answers / result.seconds).toFixed(0);
  const cpu = Object.entries(result.cpu).map(([role, time]) => `${role} ${(time / result.answers).toFixed(0)}`);
  return [`${rate} requests/s while profiled; CPU µs per request: ${cpu.join(', ')}`, ...texts].join('\n\n');
}
