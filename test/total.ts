// Ends a run of several suites with one line, `N passed, N failed`: the sum of what each has written to the file; fails when one failed or is missing.
//
// usage: tsx test/total.ts FILE SUITES

import { readFileSync } from 'node:fs';
import { type Counts, sentenceOf } from './setup/test-report.ts';

const [file = '', suites = '1'] = process.argv.slice(2);
const found = readFileSync(file, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Counts);
const sum = (count: keyof Counts) => found.reduce((total, counts) => total + counts[count], 0);
const missing = Math.max(0, Number(suites) - found.length);
const total: Counts = { passed: sum('passed'), failed: sum('failed') + missing, skipped: sum('skipped') };
process.stdout.write(`${sentenceOf(total)}\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
