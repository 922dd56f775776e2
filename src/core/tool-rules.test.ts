// Globs match what a plain reading of them says, and deny wins.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compileToolRules, globMatches, toolAllowed } from './tool-rules.ts';

const RUNS = { seed: 20260728, numRuns: 1000 };

test.each([
  ['read_file', 'read_file', true],
  ['read_file', 'read_files', false],
  ['read_file', 'Read_File', false],
  ['', '', true],
  ['', 'a', false],
  ['*', '', true],
  ['*', 'any\nthing', true],
  ['**', 'a', true],
  ['read_*', 'read_', true],
  ['read_*', 'read', false],
  ['*_file', 'read_file', true],
  ['*_file', 'read_file2', false],
  ['*delete*', 'bulk_delete_all', true],
  ['a*b*c', 'abbbxbc', true],
  ['a*b*c', 'acb', false],
  ['*ab*ab', 'abab', true],
  ['*aab', 'aaab', true],
  ['a.c', 'abc', false],
  ['a?c', 'abc', false],
  ['[ab]', 'a', false],
  ['a\\*', 'a\\xyz', true],
  ['(.+)+$', '(.+)+$', true],
  ['*😀', 'x😀', true],
])('glob %j on %j: %s', (pattern, text, expected) => {
  expect(globMatches(pattern, text)).toBe(expected);
});

test('a glob says what the regular expression of the same meaning says', () => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
  fc.assert(
    fc.property(piece, fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 }), (pattern, text) => {
      expect(globMatches(pattern, text)).toBe(new RegExp(`^${pattern.replaceAll('*', '[^]*')}$`).test(text));
    }),
    RUNS,
  );
});

test('every character but the star stands for itself', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }).map((text) => text.replaceAll('*', '')),
      (text) => {
        expect(globMatches(text, text)).toBe(true);
        expect(globMatches(`*${text}`, `x${text}`)).toBe(true);
        expect(globMatches(text, `${text}x`)).toBe(false);
      },
    ),
    RUNS,
  );
});

test('no pattern takes exponential time', () => {
  const text = 'a'.repeat(5_000);
  expect(globMatches(`${'a*'.repeat(500)}b`, text)).toBe(false);
  expect(globMatches(`${'*a'.repeat(500)}*`, text)).toBe(true);
});

test.each([
  [['*'], [], 'x', true],
  [[], [], 'x', false],
  [['x'], [], 'x', true],
  [['x'], [], 'y', false],
  [['*'], ['*delete*'], 'delete_all', false],
  [['delete_all'], ['*delete*'], 'delete_all', false],
  [['*'], ['x'], 'x', false],
  [['*'], ['x'], 'xx', true],
  [['read_*', 'list'], ['read_secret'], 'read_file', true],
  [['read_*', 'list'], ['read_secret'], 'read_secret', false],
  [['*'], ['*'], 'x', false],
])('allow %j deny %j: %s is %s', (allow, deny, name, expected) => {
  expect(toolAllowed(compileToolRules({ allow, deny }), name)).toBe(expected);
});

test('deny only ever takes away, whatever is allowed', () => {
  const patterns = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 4 }), { maxLength: 4 });
  const name = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 5 });
  fc.assert(
    fc.property(patterns, patterns, name, (allow, deny, tool) => {
      const any = (list: readonly string[]): boolean => list.some((pattern) => globMatches(pattern, tool));
      expect(toolAllowed(compileToolRules({ allow, deny }), tool)).toBe(any(allow) && !any(deny));
    }),
    RUNS,
  );
});
