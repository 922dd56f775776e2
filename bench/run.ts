// `npm run bench`: starts everything, measures, reports, and stops everything again.

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bareBootstrap } from './bare-envoy.ts';
import { findEnvoyBinary } from './envoy-binary.ts';
import { startEnvoy } from './envoy-process.ts';
import { startFloor } from './floor.ts';
import { startGateway } from './gateway.ts';
import { type Generator, startGenerator } from './generator-link.ts';
import { describeMachine } from './machine.ts';
import type { Session, Target } from './mcp-calls.ts';
import { type BenchOptions, readOptions } from './options.ts';
import { profiledCopy, profileSidecar } from './profile.ts';
import { renderReport } from './report.ts';
import { runRounds, type Sample, timeLimitMs } from './rounds.ts';
import { summarise } from './summary.ts';
import { VARIANTS, type Variant } from './variant.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SESSIONS = 256;

/** Where a process that is not an `npm run` child stands does not matter: all paths are absolute. */
async function main(options: BenchOptions, signal: AbortSignal): Promise<number> {
  const dist = join(ROOT, 'dist');
  if (!existsSync(join(dist, 'main.js'))) throw new Error('dist/ is missing: run "npm run build" first');
  // Unix socket paths end at 108 bytes, so the folder is short.
  const folder = mkdtempSync(join(tmpdir(), 'bn-'));
  const stops: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const envoy = await findEnvoyBinary(ROOT, signal, note);
    const machine = describeMachine(envoy.version, ROOT);
    const settings = { envoyThreads: options.envoyThreads, workers: options.workers };
    const binary = envoy.file;

    note('starting the gateway, whose pods serve all variants');
    const gatewayDist = options.profile ? profiledCopy(dist, folder) : dist;
    const gateway = await startGateway({ binary, folder, dist: gatewayDist, settings }, signal);
    stops.push(gateway.stop);
    const generator = await startGenerator(signal);
    stops.push(generator.stop);
    const upstream = gateway.pods.map(({ pid }) => pid);

    const gatewayTarget: Target = { port: gateway.port, path: gateway.path };
    if (options.profile) {
      const sessions = await generator.open([gatewayTarget], SESSIONS);
      const report = await profileSidecar({
        ...{ generator, gateway, sessions, target: gatewayTarget, dist: gatewayDist },
        ...{ out: options.out, measureMs: options.seconds * 1000 },
      });
      process.stdout.write(`${report}\n`);
      return 0;
    }

    const variants: Variant[] = [];
    const pods = gateway.pods.map(({ port }) => ({ port, path: '/mcp' }));
    const direct = await generator.open(pods, SESSIONS);
    for (const name of options.only) {
      if (name === 'direct') variants.push({ name, targets: pods, sessions: direct, pids: { upstream } });
      if (name === 'bare') {
        const bare = await startEnvoy(
          { name, binary, folder, threads: settings.envoyThreads, bootstrap: (admin) => bareBootstrap(gateway.pods, admin) },
          signal,
        );
        stops.push(bare.stop);
        const target = { port: bare.port, path: '/mcp' };
        variants.push({ name, targets: [target], sessions: through(direct, target), pids: { envoy: [bare.pid], upstream } });
      }
      if (name === 'floor') {
        const floor = await startFloor({ binary, folder, dist, pods: gateway.pods, settings }, signal);
        stops.push(floor.stop);
        const target = { port: floor.port, path: gateway.path };
        variants.push({ name, targets: [target], sessions: through(direct, target), pids: { ...floor.pids, upstream } });
      }
      if (name === 'gateway') {
        const sessions = await generator.open([gatewayTarget], SESSIONS);
        variants.push({ name, targets: [gatewayTarget], sessions, pids: { ...gateway.pids, upstream } });
      }
    }
    const samples = await measure(generator, variants, options);
    const summary = summarise(samples);
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

/** The same sessions by another way: only the gateway gives them ids of its own. */
function through(sessions: readonly Session[], target: Target): Session[] {
  return sessions.map((session) => ({ ...session, target }));
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
