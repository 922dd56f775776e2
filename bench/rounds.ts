// The interleaved run: in every round each measurement is taken of all variants in turn, so that a busy minute hits them all.

import type { PhaseResult } from './generator.ts';
import type { Generator } from './generator-link.ts';
import type { BenchRedis } from './redis.ts';
import type { Watched } from './redis-share.ts';
import type { CommandCounts, Variant, VariantName } from './variant.ts';

export interface Measurement {
  readonly name: string;
  readonly what: 'calls' | 'initialize';
  readonly inFlight: number;
}

export const MEASUREMENTS: readonly Measurement[] = [
  { name: 'calls, 1 in flight', what: 'calls', inFlight: 1 },
  { name: 'calls, 32 in flight', what: 'calls', inFlight: 32 },
  { name: 'calls, 128 in flight', what: 'calls', inFlight: 128 },
  { name: 'initialize, 32 in flight', what: 'initialize', inFlight: 32 },
];

/** Before each measurement: connections are made and code is warm. */
export const WARM_MS = 500;

/** Before the first round each variant answers so many requests, so that its code is compiled; slow machines stop earlier. */
const FIRST_ANSWERS = 10_000;
const FIRST_PHASE_MS = 1_000;
const FIRST_PHASES = 15;
const WATCH_MS = 1_000;

/** One phase, of one variant in one round. */
export interface Sample {
  readonly round: number;
  readonly measurement: string;
  readonly variant: VariantName;
  readonly result: PhaseResult;
  /** What its Redis executed from before the phase until after its last answer, for `result.allAnswers`. */
  readonly commands?: CommandCounts;
}

export interface RunOptions {
  readonly generator: Generator;
  readonly variants: readonly Variant[];
  readonly rounds: number;
  readonly measureMs: number;
  readonly onSample: (sample: Sample) => void;
}

export async function runRounds({ generator, variants, rounds, measureMs, onSample }: RunOptions): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const variant of variants) await warmUp(generator, variant);
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, what, inFlight } of MEASUREMENTS) {
      for (const variant of variants) {
        const { targets, sessions, pids } = variant;
        const before = await variant.commandCounts?.();
        const result = await generator.run({ what, inFlight, targets, sessions, pids, warmMs: WARM_MS, measureMs });
        const after = await variant.commandCounts?.();
        const commands = before && after && difference(before, after);
        const sample = { round, measurement: name, variant: variant.name, result, ...(commands && { commands }) };
        samples.push(sample);
        onSample(sample);
      }
    }
  }
  return samples;
}

/** What clients send to Redis in one more phase of calls, which is not measured: listening makes Redis slower. */
export async function watchRedis(generator: Generator, variant: Variant, watch: BenchRedis['watch']): Promise<Watched> {
  const { targets, sessions, pids } = variant;
  let answers = 0;
  const commands = await watch(async () => {
    answers = (await generator.run({ what: 'calls', inFlight: 32, targets, sessions, pids, warmMs: 0, measureMs: WATCH_MS })).allAnswers;
  });
  return { answers, commands };
}

function difference(before: CommandCounts, after: CommandCounts): CommandCounts {
  const all = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)] as const);
  return Object.fromEntries(all.filter(([, count]) => count > 0));
}

/** Until the code of all processes on the way is compiled. */
export async function warmUp(generator: Generator, { targets, sessions, pids }: Variant): Promise<void> {
  const phase = { inFlight: 32, targets, sessions, pids, warmMs: 0, measureMs: FIRST_PHASE_MS };
  await generator.run({ ...phase, what: 'initialize' });
  for (let answers = 0, phases = 0; answers < FIRST_ANSWERS && phases < FIRST_PHASES; phases += 1)
    answers += (await generator.run({ ...phase, what: 'calls' })).answers;
}

/** An upper limit for a run of this size, in milliseconds: something hangs when it is passed. */
export function timeLimitMs({ rounds, seconds, variants }: { rounds: number; seconds: number; variants: number }): number {
  return (
    180_000 + variants * 2 * FIRST_PHASES * FIRST_PHASE_MS + 2 * rounds * MEASUREMENTS.length * variants * (seconds * 1000 + WARM_MS + 500)
  );
}
