// From samples to figures, ratios and the verdict: whether the run counts, and whether the targets are met.

import { type RedisRow, redisFaults, redisRows, type Watched } from './redis-share.ts';
import { MEASUREMENTS, type Sample } from './rounds.ts';
import { type Spread, spreadOf } from './statistics.ts';
import { VARIANTS, type VariantName } from './variant.ts';

/** A generator or upstream that is less than this much faster than Envoy would itself be what is measured. */
export const DIRECT_PER_BARE = 2;
export const THROUGHPUT_TARGET = 0.85;
export const LATENCY_TARGET = 1.2;
export const POLICED_TARGET = 0.75;

const MANY = 'calls, 32 in flight';
const ONE = 'calls, 1 in flight';

export interface Row {
  readonly measurement: string;
  readonly variant: VariantName;
  readonly perSecond: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  /** Microseconds of CPU per answer, by role. */
  readonly cpu: Readonly<Record<string, Spread>>;
  readonly answers: number;
  readonly failures: number;
}

/** Of one variant to another in the same round; the spread is over the rounds. */
export interface Ratio {
  readonly name: string;
  readonly value: Spread;
  /** Undefined for what is only reported. */
  readonly target?: { readonly at: 'least' | 'most'; readonly limit: number };
}

export interface Summary {
  readonly rows: readonly Row[];
  readonly ratios: readonly Ratio[];
  /** Of the policed variant. */
  readonly redis: readonly RedisRow[];
  readonly watched: Watched | undefined;
  /** Why the run does not count; empty when it does. */
  readonly faults: readonly string[];
}

export function summarise(samples: readonly Sample[], watched?: Watched): Summary {
  const rows = MEASUREMENTS.flatMap(({ name }) => VARIANTS.map((variant) => rowOf(samples, name, variant))).filter(
    (row) => row !== undefined,
  );
  const compare = (name: string, over: VariantName, under: VariantName, measurement: string, value: Value, target?: Ratio['target']) =>
    ratioOf(samples, { name, over, under, measurement, value, target });
  const speed: Value = ({ result }) => result.answers / result.seconds;
  const p50: Value = ({ result }) => result.p50Ms;
  const cpu: Value = ({ result: { cpu: of, answers } }) => ((of['envoy'] ?? 0) + (of['sidecar'] ?? 0) + (of['redis'] ?? 0)) / answers;
  const ratios = [
    compare('direct ÷ bare Envoy: requests/s, 32 in flight', 'direct', 'bare', MANY, speed, { at: 'least', limit: DIRECT_PER_BARE }),
    compare('gateway ÷ floor: requests/s, 32 in flight', 'gateway', 'floor', MANY, speed, { at: 'least', limit: THROUGHPUT_TARGET }),
    compare('gateway ÷ floor: p50, 1 in flight', 'gateway', 'floor', ONE, p50, { at: 'most', limit: LATENCY_TARGET }),
    compare('policed ÷ floor: requests/s, 32 in flight', 'policed', 'floor', MANY, speed, { at: 'least', limit: POLICED_TARGET }),
    compare('policed ÷ floor: p50, 1 in flight', 'policed', 'floor', ONE, p50),
    compare('policed ÷ floor: requests/s, 128 in flight', 'policed', 'floor', 'calls, 128 in flight', speed),
    compare('policed ÷ floor: CPU of Envoy, sidecar and Redis, 32 in flight', 'policed', 'floor', MANY, cpu),
    compare('policed ÷ gateway: requests/s, 32 in flight', 'policed', 'gateway', MANY, speed),
    compare('gateway ÷ floor: requests/s, 128 in flight', 'gateway', 'floor', 'calls, 128 in flight', speed),
    compare('gateway ÷ floor: CPU of Envoy and sidecar, 32 in flight', 'gateway', 'floor', MANY, cpu),
    compare('gateway ÷ floor: initialize/s', 'gateway', 'floor', 'initialize, 32 in flight', speed),
    compare('floor ÷ bare Envoy: requests/s, 32 in flight', 'floor', 'bare', MANY, speed),
    compare('gateway ÷ bare Envoy: requests/s, 32 in flight', 'gateway', 'bare', MANY, speed),
    compare('gateway ÷ bare Envoy: p50, 1 in flight', 'gateway', 'bare', ONE, p50),
  ].filter((ratio) => ratio !== undefined);
  const faults = [...faultsOf(samples, ratios), ...redisFaults(samples)];
  return { rows, ratios, redis: redisRows(samples), watched, faults };
}

export function isMet({ value, target }: Ratio): boolean | undefined {
  if (!target) return undefined;
  return target.at === 'least' ? value.median >= target.limit : value.median <= target.limit;
}

function faultsOf(samples: readonly Sample[], ratios: readonly Ratio[]): string[] {
  const faults: string[] = [];
  for (const { measurement, variant, round, result } of samples) {
    if (result.failures > 0)
      faults.push(
        `${result.failures} wrong or missing answers: ${variant}, ${measurement}, round ${round + 1}: ${result.samples.join(' | ')}`,
      );
    if (result.answers === 0) faults.push(`no answer at all: ${variant}, ${measurement}, round ${round + 1}`);
  }
  const direct = ratios.find(({ name }) => name.startsWith('direct'));
  if (direct && isMet(direct) === false)
    faults.push(
      `direct is only ${direct.value.median.toFixed(2)} × bare Envoy (${DIRECT_PER_BARE} is needed): the generator or the upstream is what was measured`,
    );
  return faults;
}

type Value = (sample: Sample) => number;

interface Comparison {
  readonly name: string;
  readonly over: VariantName;
  readonly under: VariantName;
  readonly measurement: string;
  readonly value: Value;
  readonly target: Ratio['target'];
}

function ratioOf(samples: readonly Sample[], { name, over, under, measurement, value, target }: Comparison): Ratio | undefined {
  const of = (variant: VariantName, round: number): number | undefined => {
    const found = samples.find((sample) => sample.variant === variant && sample.measurement === measurement && sample.round === round);
    return found && value(found);
  };
  const rounds = [...new Set(samples.map(({ round }) => round))];
  const values = rounds.flatMap((round) => {
    const [top, bottom] = [of(over, round), of(under, round)];
    return top === undefined || !bottom ? [] : [top / bottom];
  });
  const spread = spreadOf(values);
  return spread && { name, value: spread, ...(target ? { target } : {}) };
}

function rowOf(samples: readonly Sample[], measurement: string, variant: VariantName): Row | undefined {
  const results = samples
    .filter((sample) => sample.variant === variant && sample.measurement === measurement)
    .map(({ result }) => result)
    .filter(({ answers }) => answers > 0);
  const perSecond = spreadOf(results.map(({ answers, seconds }) => answers / seconds));
  const p50Ms = spreadOf(results.map((result) => result.p50Ms));
  const p99Ms = spreadOf(results.map((result) => result.p99Ms));
  if (!perSecond || !p50Ms || !p99Ms) return undefined;
  const cpu: Record<string, Spread> = {};
  for (const role of new Set(results.flatMap((result) => Object.keys(result.cpu)))) {
    const spread = spreadOf(results.flatMap((result) => (result.cpu[role] === undefined ? [] : [result.cpu[role] / result.answers])));
    if (spread) cpu[role] = spread;
  }
  return {
    measurement,
    variant,
    perSecond,
    p50Ms,
    p99Ms,
    cpu,
    answers: results.reduce((sum, { answers }) => sum + answers, 0),
    failures: results.reduce((sum, { failures }) => sum + failures, 0),
  };
}
