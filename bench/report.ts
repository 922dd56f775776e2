// The results as people read them: one Markdown text for the terminal and for bench/results.

import type { Machine } from './machine.ts';
import { ROUND_TRIPS, ROUND_TRIPS_TOLERANCE } from './redis-share.ts';
import { MEASUREMENTS, WARM_MS } from './rounds.ts';
import type { Spread } from './statistics.ts';
import { isMet, type Ratio, type Summary } from './summary.ts';
import { TITLES } from './variant.ts';

export interface Run {
  readonly date: string;
  readonly machine: Machine;
  readonly rounds: number;
  readonly seconds: number;
  readonly sessions: number;
  readonly envoyThreads: number;
  readonly workers: number;
  readonly summary: Summary;
}

const ROLES = ['envoy', 'sidecar', 'redis', 'supervisor', 'upstream', 'generator'];

export function renderReport(run: Run): string {
  const { machine, summary } = run;
  const lines = [
    `# Benchmark of ${run.date}`,
    '',
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.system}; Node ${machine.node}, Envoy ${machine.envoy}; commit ${machine.commit ?? 'unknown'}; load before the run: ${machine.loadBefore}.`,
    '',
    `${run.rounds} rounds; in each round every measurement is taken of all variants in turn, ${run.seconds} s each after ${WARM_MS / 1000} s of warm-up. ` +
      `${run.sessions} sessions on 2 pods; ${run.envoyThreads} worker thread(s) in every Envoy, ${run.workers} sidecar process(es). ` +
      'Figures are medians over the rounds, with the range in parentheses; ratios are made within a round. Only ratios can be compared with other machines. Method: bench/README.md.',
    '',
    ...ratioTable(summary.ratios),
  ];
  for (const { name } of MEASUREMENTS) lines.push(...measurementTable(name, summary));
  lines.push(...redisTable(summary));
  if (summary.faults.length > 0) lines.push('## This run does not count', '', ...summary.faults.map((fault) => `- ${fault}`), '');
  return lines.join('\n');
}

function ratioTable(ratios: readonly Ratio[]): string[] {
  if (ratios.length === 0) return [];
  const rows = ratios.map((ratio) => {
    const { name, value, target } = ratio;
    const asked = target ? `${target.at === 'least' ? '≥' : '≤'} ${target.limit} ${isMet(ratio) ? 'met' : 'MISSED'}` : '';
    return [name, spread(value, 2), asked];
  });
  return ['## Ratios', '', ...table(['ratio', 'median (range)', 'target'], rows), ''];
}

function measurementTable(name: string, { rows: all, redis }: Summary): string[] {
  const rows = all.filter(({ measurement }) => measurement === name);
  const counted = redis.find(({ measurement }) => measurement === name);
  if (rows.length === 0) return [];
  const roles = ROLES.filter((role) => rows.some(({ cpu }) => cpu[role]));
  const cells = rows.map((row) => [
    TITLES[row.variant],
    spread(row.perSecond, 0),
    spread(row.p50Ms, 2),
    spread(row.p99Ms, 2),
    ...roles.map((role) => (row.cpu[role] ? row.cpu[role].median.toFixed(0) : '–')),
    ...(counted ? [row.cpu['redis'] ? counted.scripts.median.toFixed(3) : '–'] : []),
    String(row.failures),
  ]);
  const header = [
    '',
    'per second',
    'p50 ms',
    'p99 ms',
    ...roles.map((role) => `CPU µs: ${role}`),
    ...(counted ? ['Redis scripts'] : []),
    'failed',
  ];
  return [`## ${name}`, '', ...table(header, cells), ''];
}

function redisTable({ redis, watched }: Summary): string[] {
  if (redis.length === 0) return [];
  const rows = redis.map(({ measurement, scripts, others }) => [measurement, spread(scripts, 3), list(others)]);
  const counted = table(['commands per answer', 'EVALSHA', 'other commands: inside of scripts, or in the background'], rows);
  const lines = ['## Redis, policed gateway', '', ...counted, ''];
  lines.push(`Every measurement of calls must show ${ROUND_TRIPS} ± ${ROUND_TRIPS_TOLERANCE} EVALSHA per answer.`);
  if (watched) {
    const sent = Object.entries(watched.commands).map(([name, count]) => [name, count / watched.answers] as const);
    const perAnswer = list(sent.sort(([, a], [, b]) => b - a));
    lines.push(`What clients sent while ${watched.answers} calls were answered, told by MONITOR, per answer: ${perAnswer}.`);
  }
  return [...lines, ''];
}

function list(commands: readonly (readonly [name: string, perAnswer: number])[]): string {
  const told = commands.filter(([, perAnswer]) => perAnswer >= 0.0005);
  return told.map(([name, perAnswer]) => `${name} ${perAnswer.toFixed(3)}`).join(', ');
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((text, column) => Math.max(text.length, 3, ...rows.map((row) => (row[column] as string).length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number))).join(' | ')} |`;
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(header), line(rule), ...rows.map(line)];
}

function spread({ median, min, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}
