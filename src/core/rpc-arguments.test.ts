// The arguments of a call are found as they were written, and nothing that a server could take for them is missed.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rawArguments } from './rpc-arguments.ts';
import { peek } from './rpc-peek.ts';

function find(json: string): string | undefined {
  const body = Buffer.from(json);
  const seen = peek(body, { complete: true });
  if (seen.kind !== 'single' || !seen.message.paramsRange) throw new Error(json);
  return rawArguments(body, seen.message.paramsRange)?.toString();
}

const call = (params: string): string => `{"method":"tools/call","id":1, "params": ${params} }`;

test.each([
  ['{"name":"a","arguments":{"b":[1, 2.50]}}', '{"b":[1, 2.50]}'],
  ['{"arguments" : \n "é" , "name":"a"}', '"é"'],
  ['{"name":"a","\\u0061rguments":null}', 'null'],
  ['{"name":"a","_meta":{"arguments":1}}', undefined],
  ['[1]', undefined],
])('in %s: %s', (params, expected) => {
  expect(find(call(params))).toBe(expected);
});

test.each(['{"arguments":1,"arguments":2}', '{"arguments":1,"Arguments":2}', '{"ARGUMENTS":{}}', '{"argument\u017f":1}'])(
  'of %s all params are kept: servers disagree about it',
  (params) => {
    expect(find(call(params))).toBe(params);
  },
);

test('whatever the value, its raw text is cut out', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (value, other) => {
      const raw = JSON.stringify(value);
      expect(find(call(`{"x":${JSON.stringify(other)},"arguments":${raw},"y":0}`))).toBe(raw);
    }),
    { seed: 20260728, numRuns: 200 },
  );
});
