// Findings as people read them, line by line, and as programs do.

import { printable } from '../table.ts';
import type { Finding } from './finding.ts';

const WIDTH = 'warning'.length;
const colours = { ok: '32', warning: '33', failure: '31' } as const;

/** One line, and one more with what to do. What comes from elsewhere cannot move the cursor. */
export function findingText({ check, subject, state, message, advice }: Finding, coloured: boolean): string {
  const title = subject === undefined ? check : `${check} ${subject}`;
  const word = state.padEnd(WIDTH);
  const first = `${coloured ? `\u001b[${colours[state]}m${word}\u001b[0m` : word}  ${printable(oneLine(`${title}: ${message}`))}\n`;
  return advice === undefined ? first : `${first}${' '.repeat(WIDTH)}  → ${printable(oneLine(advice))}\n`;
}

/** The last line: `1 failure, 2 warnings`. */
export function summaryText(findings: readonly Finding[]): string {
  const { failures, warnings } = counts(findings);
  if (failures + warnings === 0) return '\neverything is well\n';
  const parts = [counted(failures, 'failure'), counted(warnings, 'warning')].filter((part) => part !== '');
  return `\n${parts.join(', ')}\n`;
}

export function findingsJson(findings: readonly Finding[]): string {
  return `${JSON.stringify({ ...counts(findings), checks: findings }, undefined, 2)}\n`;
}

export function counts(findings: readonly Finding[]): { readonly failures: number; readonly warnings: number } {
  const of = (state: Finding['state']) => findings.filter((each) => each.state === state).length;
  return { failures: of('failure'), warnings: of('warning') };
}

function counted(count: number, what: string): string {
  return count === 0 ? '' : `${count} ${what}${count === 1 ? '' : 's'}`;
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*\n\s*/g, ' ');
}
