// Which texts are amounts of processors and bytes, and how much they are.

import { expect, it } from 'vitest';
import { byteQuantity, cpuQuantity, parseQuantity } from './quantity.ts';

it.each([
  ['500m', 0.5],
  ['2', 2],
  ['1.5', 1.5],
  ['1k', 1000],
  ['256Mi', 268_435_456],
  ['1.5Gi', 1_610_612_736],
  ['2E', 2e18],
])('%s is %d', (text, amount) => {
  expect(parseQuantity(text)).toBe(amount);
});

it.each(['', 'Gi', '1 Gi', '-1', '1GB', '1e3', '0x1', '1.'])('%j is none', (text) => {
  expect(parseQuantity(text)).toBeUndefined();
});

it.each(['500m', '2', '0.125', 2, 0])('%j are processors', (given) => {
  expect(cpuQuantity.parse(given)).toBe(String(given));
});

it.each(['1Gi', '1.5', '512M', 1_048_576])('%j are bytes', (given) => {
  expect(byteQuantity.parse(given)).toBe(String(given));
});

// `128m` of memory is an eighth of a byte: a mistake that Kubernetes lets pass.
it.each(['128m', '1GB', '1gi', '-1', -1, 1.5, true, null])('%j are no bytes', (given) => {
  expect(byteQuantity.safeParse(given).error?.issues.map(({ message }) => message)).toEqual([
    'must be a number of bytes such as 256Mi or 1Gi',
  ]);
});

it.each(['1Gi', '1.2345', 'half', 0.5, '9'.repeat(33)])('%j are no processors', (given) => {
  expect(cpuQuantity.safeParse(given).success).toBe(false);
});
