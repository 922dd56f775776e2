// Tables for people: aligned, without trailing blanks, and without anything that a terminal would act on.

import { expect, test } from 'vitest';
import { printableText, table } from './table.ts';

test('columns are as wide as their widest cell', () => {
  expect(
    table([
      ['A', 'LONG', 'C'],
      ['wide', 'x', ''],
      ['', '', 'c'],
    ]),
  ).toBe('A     LONG  C\nwide  x\n            c\n');
});

test('what a caller is called cannot steer the terminal', () => {
  const text = table([['\u001b[2Jann\r\n', 'x\u009b31m', '\u202egpj', 'é']]);
  expect(text).toBe('\ufffd[2Jann\ufffd\ufffd  x\ufffd31m  \ufffdgpj  é\n');
});

test('nor what a server prints, whose lines stay lines', () => {
  expect(printableText('a\tb\r\nc\rd\u001b]52;c;x\u0007\n\u202eé\n')).toBe('a\tb\nc\ufffdd\ufffd]52;c;x\ufffd\n\ufffdé\n');
});
