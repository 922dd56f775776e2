// The interleaved run: in every round each measurement is taken of all variants in turn, so that a busy minute hits them all.

import type { PhaseResult } from './generator.ts';
import type { Generator } from './generator-link.ts';
import type { Variant, VariantName } from './variant.ts';

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

/** One phase, of one variant in one round. */
export interface Sample {
  readonly round: number;
  readonly measurement: string;
  readonly variant: VariantName;
  readonly result: PhaseResult;
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
        const result = await generator.run({ what, inFlight, targets, sessions, pids, warmMs: WARM_MS, measureMs });
        const sample = { round, measurement: name, variant: variant.name, result };
        samples.push(sample);
        onSample(sample);
      }
    }
  }
  return samples;
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
