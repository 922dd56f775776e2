// The command line of the benchmark.

import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { PROFILED, type ProfiledVariant } from './profile.ts';
import { VARIANTS, type VariantName } from './variant.ts';

const MAX_ROUNDS = 100;
const MAX_SECONDS = 60;

export interface BenchOptions {
  readonly rounds: number;
  /** Measured time of each phase. */
  readonly seconds: number;
  readonly only: readonly VariantName[];
  readonly json: boolean;
  readonly profile: ProfiledVariant | undefined;
  readonly out: string;
  readonly envoyThreads: number;
  readonly workers: number;
}

export function readOptions(argv: readonly string[]): BenchOptions {
  const command = new Command('npm run bench --')
    .description(
      'Measures direct, bare Envoy, the floor (Envoy + a constant Check), the gateway and the policed gateway, interleaved; bench/README.md says how to read it.',
    )
    .addOption(new Option('--rounds <n>', 'how often all variants take their turn').default(5).argParser(number(1, MAX_ROUNDS)))
    .addOption(new Option('--seconds <n>', 'measured time of each phase').default(3).argParser(number(0.2, MAX_SECONDS)))
    .addOption(
      new Option('--only <names>', `some of ${VARIANTS.join(',')}: nothing is saved then`)
        .default([...VARIANTS], 'all')
        .argParser(variants),
    )
    .option('--json', 'print the figures as JSON instead of a table', false)
    .addOption(
      new Option('--profile [variant]', 'profile the sidecar of this variant with 32 in flight instead of comparing')
        .choices(PROFILED)
        .preset('gateway'),
    )
    .option('--out <folder>', 'where results are written', fileURLToPath(new URL('./results', import.meta.url)))
    .addOption(new Option('--envoy-threads <n>', 'worker threads of every Envoy').default(1).argParser(number(1, 64)))
    .addOption(new Option('--workers <n>', 'sidecar processes of the floor and of each gateway').default(1).argParser(number(1, 64)))
    .allowExcessArguments(false);
  return command.parse(argv).opts<BenchOptions>();
}

function number(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`a number from ${min} to ${max} is expected`);
    return value;
  };
}

function variants(text: string): VariantName[] {
  const names = text.split(',');
  for (const name of names)
    if (!(VARIANTS as readonly string[]).includes(name)) throw new InvalidArgumentError(`expected some of ${VARIANTS.join(',')}`);
  return VARIANTS.filter((name) => names.includes(name));
}
