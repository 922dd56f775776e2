// How many Redis commands one answered request costs: counted, not estimated, and a reason to throw a run away when it is not one.

import { MEASUREMENTS, type Sample } from './rounds.ts';
import { type Spread, spreadOf } from './statistics.ts';
import type { CommandCounts } from './variant.ts';

/** What each answered call must cost: one script, one round trip. */
export const ROUND_TRIPS = 1;
/** For what happens now and then in the background: the processes' signs of life and the sessions' last uses are scripts, too. */
export const ROUND_TRIPS_TOLERANCE = 0.01;

/** Ways to run a script. */
const SCRIPTS: ReadonlySet<string> = new Set(['evalsha', 'eval', 'fcall']);

export interface RedisRow {
  readonly measurement: string;
  /** Scripts per answer. */
  readonly scripts: Spread;
  /** Everything else that Redis executed, per answer, the most frequent first: what the scripts call, and what others ask. */
  readonly others: readonly (readonly [name: string, perAnswer: number])[];
}

/** What clients sent while `answers` calls were answered, as MONITOR tells it: without what scripts call. */
export interface Watched {
  readonly answers: number;
  readonly commands: CommandCounts;
}

/** One row for each measurement in which Redis was asked. */
export function redisRows(samples: readonly Sample[]): RedisRow[] {
  return MEASUREMENTS.flatMap(({ name }) => {
    const counted = samples.filter(({ measurement, commands, result }) => measurement === name && commands && result.allAnswers > 0);
    const scripts = spreadOf(counted.map(scriptsPerAnswer));
    return scripts ? [{ measurement: name, scripts, others: perAnswer(counted) }] : [];
  });
}

/** A call that was counted more often than once, or not at all. */
export function redisFaults(samples: readonly Sample[]): string[] {
  const calls = new Set(MEASUREMENTS.filter(({ what }) => what === 'calls').map(({ name }) => name));
  return samples.flatMap((sample) => {
    const { measurement, variant, round, commands, result } = sample;
    if (!commands || !calls.has(measurement) || result.allAnswers === 0) return [];
    const scripts = scriptsPerAnswer(sample);
    if (Math.abs(scripts - ROUND_TRIPS) <= ROUND_TRIPS_TOLERANCE) return [];
    return [`${scripts.toFixed(3)} Redis scripts per answer instead of ${ROUND_TRIPS}: ${variant}, ${measurement}, round ${round + 1}`];
  });
}

function scriptsPerAnswer({ commands = {}, result }: Sample): number {
  let scripts = 0;
  for (const name of SCRIPTS) scripts += commands[name] ?? 0;
  return scripts / result.allAnswers;
}

function perAnswer(samples: readonly Sample[]): [string, number][] {
  const sums = new Map<string, number>();
  let answers = 0;
  for (const { commands = {}, result } of samples) {
    answers += result.allAnswers;
    for (const [name, count] of Object.entries(commands)) if (!SCRIPTS.has(name)) sums.set(name, (sums.get(name) ?? 0) + count);
  }
  return [...sums].map(([name, count]): [string, number] => [name, count / answers]).sort(([, a], [, b]) => b - a);
}
