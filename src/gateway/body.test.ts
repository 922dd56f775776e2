// What a body asks for, or why nothing can be decided on it.

import { expect, test } from 'vitest';
import { type RequestOptions, requestOf } from '../../test/fakes/requests.ts';
import { readBody } from './body.ts';

const read = (request: RequestOptions, ruled = false) => readBody(requestOf(request), ruled);
const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}';

test('a single message', () => {
  expect(read({ body: call })).toMatchObject({
    kind: 'asked',
    batch: false,
    complete: true,
    single: { method: 'tools/call', name: 'a', id: '1' },
  });
});

test('a batch has messages, but no single one', () => {
  const asked = read({ body: `[${call},${call}]` });
  expect(asked).toMatchObject({ kind: 'asked', batch: true, complete: true, single: undefined });
  expect(asked.kind === 'asked' && asked.messages).toHaveLength(2);
});

test('GET and DELETE ask nothing', () => {
  for (const method of ['GET', 'DELETE'])
    expect(read({ method, body: '{' })).toMatchObject({ kind: 'asked', messages: [], single: undefined });
});

test.each([
  [true, call.slice(0, 40)],
  [true, ''],
  [true, `[${call},`],
  // The text seems to have ended, but more follows that another reader might see.
  [true, call],
  [true, `[${call}]`],
])('a partial body where a rule is in force (%s) is refused: %s', (ruled, body) => {
  expect(read({ body, bodyComplete: false }, ruled)).toMatchObject({ kind: 'answer', status: 413, facts: { reason: 'body_too_large' } });
});

test('a partial body is known to be partial where no rule is in force', () => {
  for (const body of [call, call.slice(0, 40), ''])
    expect(read({ body, bodyComplete: false })).toMatchObject({ kind: 'asked', complete: false });
});

test('a partial body that is already wrong is wrong', () => {
  expect(read({ body: '{"a":}', bodyComplete: false })).toMatchObject({ status: 400 });
  expect(read({ body: '{"method":"a","method":"b","x":', bodyComplete: false })).toMatchObject({ status: 400 });
});

test('a modern request inside a batch, and initialize inside one, are refused', () => {
  expect(read({ body: '[{"jsonrpc":"2.0","id":1,"method":"initialize"}]' })).toMatchObject({
    status: 400,
    facts: { reason: 'invalid_request' },
  });
  const modern = '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}';
  expect(read({ body: `[${modern}]` })).toMatchObject({ status: 400, facts: { reason: 'invalid_request' } });
});

test('headers and body that disagree: −32020 with the request’s id', () => {
  const body = '{"jsonrpc":"2.0","id":"x","method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}';
  const answer = read({ body, headers: { protocolVersion: '2026-07-28', mcpMethod: 'tools/call' } });
  expect(answer.kind === 'answer' && JSON.parse(String(answer.body))).toMatchObject({ id: 'x', error: { code: -32020 } });
});
