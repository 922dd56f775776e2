// `npm run bench`: starts everything, measures, reports, and stops everything again.

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findEnvoyBinary } from './envoy-binary.ts';
import { type Generator, startGenerator } from './generator-link.ts';
import { describeMachine } from './machine.ts';
import { type BenchOptions, readOptions } from './options.ts';
import { profiledCopy, profileSidecar } from './profile.ts';
import { renderReport } from './report.ts';
import { runRounds, type Sample, timeLimitMs, watchRedis } from './rounds.ts';
import { SESSIONS, startVariants } from './start-variants.ts';
import { summarise } from './summary.ts';
import { VARIANTS, type Variant } from './variant.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Where a process that is not an `npm run` child stands does not matter: all paths are absolute. */
async function main(options: BenchOptions, signal: AbortSignal): Promise<number> {
  const built = join(ROOT, 'dist');
  if (!existsSync(join(built, 'main.js'))) throw new Error('dist/ is missing: run "npm run build" first');
  // Unix socket paths end at 108 bytes, so the folder is short.
  const folder = mkdtempSync(join(tmpdir(), 'bn-'));
  const stops: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const envoy = await findEnvoyBinary(ROOT, signal, note);
    const machine = describeMachine(envoy.version, ROOT);
    const settings = { envoyThreads: options.envoyThreads, workers: options.workers };
    const generator = await startGenerator(signal);
    stops.push(generator.stop);
    const dist = options.profile ? profiledCopy(built, folder) : built;
    const names = options.profile ? [options.profile] : options.only;
    const common = { generator, binary: envoy.file, folder, dist, settings, stops, progress: note };
    const { variants, redis } = await startVariants({ names, ...common }, signal);

    const [profiled] = variants;
    if (options.profile && profiled) {
      const measureMs = options.seconds * 1000;
      process.stdout.write(`${await profileSidecar({ generator, variant: profiled, dist, out: options.out, measureMs })}\n`);
      return 0;
    }

    const samples = await measure(generator, variants, options);
    const policed = variants.find(({ name }) => name === 'policed');
    const watched = redis && policed && (await watchRedis(generator, policed, redis.watch));
    const summary = summarise(samples, watched);
    const date = new Date().toISOString().slice(0, 10);
    const run = { date, machine, rounds: options.rounds, seconds: options.seconds, sessions: SESSIONS, ...settings, summary };
    const report = renderReport(run);
    const json = JSON.stringify({ ...run, samples }, null, 1);
    process.stdout.write(options.json ? `${json}\n` : `${report}\n`);
    if (summary.faults.length > 0) return 1;
    if (options.only.length === VARIANTS.length) {
      mkdirSync(options.out, { recursive: true });
      writeFileSync(join(options.out, `${date}.md`), report);
      writeFileSync(join(options.out, `${date}.json`), `${json}\n`);
      note(`written: ${join(options.out, date)}.{md,json}`);
    }
    return 0;
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

async function measure(generator: Generator, variants: readonly Variant[], { rounds, seconds }: BenchOptions): Promise<Sample[]> {
  const onSample = ({ round, measurement, variant, result }: Sample): void => {
    const rate = (result.answers / result.seconds).toFixed(0);
    note(
      `round ${round + 1}/${rounds}: ${measurement}: ${variant}: ${rate}/s, p50 ${result.p50Ms.toFixed(2)} ms, ${result.failures} failed`,
    );
  };
  return runRounds({ generator, variants, rounds, measureMs: seconds * 1000, onSample });
}

function note(line: string): void {
  process.stderr.write(`bench: ${line}\n`);
}

const options = readOptions(process.argv);
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));
const limit = timeLimitMs({ ...options, variants: options.only.length });
const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(limit)]);
try {
  process.exitCode = await main(options, signal);
} catch (error) {
  note((error as Error).message);
  process.exitCode = 1;
}
