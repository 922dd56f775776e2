// Findings in lines, and in JSON.

import { expect, test } from 'vitest';
import { type Finding, failure, failureOf, ok, warning } from './finding.ts';
import { findingsJson, findingText, summaryText } from './render.ts';

const well = ok(['node'], '24.1.0');
const odd = warning(['home'], 'is open', 'chmod 700 it');
const bad = failure(['backend', 'github'], 'unhealthy:\n  it left', 'see its log');

test('one line each, and one more with what to do', () => {
  expect([well, odd, bad].map((each) => findingText(each, false))).toEqual([
    'ok       node: 24.1.0\n',
    'warning  home: is open\n         → chmod 700 it\n',
    'failure  backend github: unhealthy: it left\n         → see its log\n',
  ]);
  expect(findingText(well, true)).toBe('\u001b[32mok     \u001b[0m  node: 24.1.0\n');
});

test('what servers say cannot move the cursor', () => {
  expect(findingText(failure(['backend', 'x'], 'a\u001b[2Jb', 'c\u202ed'), false)).toBe(
    'failure  backend x: a\ufffd[2Jb\n         → c\ufffdd\n',
  );
});

test.each<[readonly Finding[], string]>([
  [[well], 'everything is well'],
  [[well, odd], '1 warning'],
  [[bad, odd, bad, odd], '2 failures, 2 warnings'],
  [[bad], '1 failure'],
])('%#: the last line counts', (findings, line) => {
  expect(summaryText(findings)).toBe(`\n${line}\n`);
});

test('programs get all of it', () => {
  expect(JSON.parse(findingsJson([well, bad]))).toEqual({
    failures: 1,
    warnings: 0,
    checks: [
      { check: 'node', state: 'ok', message: '24.1.0' },
      { check: 'backend', subject: 'github', state: 'failure', message: 'unhealthy:\n  it left', advice: 'see its log' },
    ],
  });
});

test('errors that end with what to do are cut there', () => {
  expect(failureOf(['envoy'], new Error('http://x: none: install it'), 'other')).toMatchObject({
    message: 'http://x: none',
    advice: 'install it',
  });
  expect(failureOf(['envoy'], new Error('none'), 'other')).toMatchObject({ message: 'none', advice: 'other' });
});
