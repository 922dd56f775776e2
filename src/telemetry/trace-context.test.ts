// A `traceparent` is believed when it is well-formed, and only then.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyText } from '../../test/fakes/texts.ts';
import { parseTraceParent } from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test('what is well-formed', () => {
  expect(parseTraceParent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, sampled: true });
  expect(parseTraceParent(`00-${TRACE}-${SPAN}-02`)).toEqual({ traceId: TRACE, spanId: SPAN, sampled: false });
  expect(parseTraceParent(`01-${TRACE}-${SPAN}-01-more-of-a-later-version`)).toMatchObject({ traceId: TRACE });
});

test.each([
  [undefined],
  [''],
  [`00-${TRACE}-${SPAN}`],
  [`00-${TRACE}-${SPAN}-01-more`],
  [`ff-${TRACE}-${SPAN}-01`],
  [`00-${TRACE.toUpperCase()}-${SPAN}-01`],
  [`00-${'0'.repeat(32)}-${SPAN}-01`],
  [`00-${TRACE}-${'0'.repeat(16)}-01`],
  [`00-${TRACE}-${SPAN}-01\n`],
  [` 00-${TRACE}-${SPAN}-01`],
  [`01-${TRACE}-${SPAN}-01-${'x'.repeat(100_000)}`],
])('%s is not', (text) => {
  expect(parseTraceParent(text)).toBeUndefined();
});

test('any text at all: an answer, never an exception', () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      expect(parseTraceParent(text)).toBeUndefined();
    }),
    { seed: 20260728, numRuns: 200 },
  );
});
