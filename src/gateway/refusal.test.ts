// Refusals to the byte: clients compare codes, and some compare texts.

import { describe, expect, test } from 'vitest';
import { type ReasonCode, reasons } from '../core/reasons.ts';
import { bare, refuse, refuseCapacity } from './refusal.ts';

const codes = Object.keys(reasons) as ReasonCode[];

describe('the answers of the design', () => {
  test('session unknown, expired, revoked, or someone else’s', () => {
    const answer = refuse('session_not_found', { rpcId: '7' });
    expect(answer.status).toBe(404);
    expect(answer.body).toBe('{"jsonrpc":"2.0","id":7,"error":{"code":-32001,"message":"Session not found"}}');
    expect(refuse('session_not_found').body).toBe('{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}');
  });

  test('a tool that is not allowed is a tool that does not exist', () => {
    const answer = refuse('tool_not_allowed', { rpcId: '"a"', message: 'Unknown tool: drop' });
    expect([answer.status, answer.body]).toEqual([
      200,
      '{"jsonrpc":"2.0","id":"a","error":{"code":-32602,"message":"Unknown tool: drop"}}',
    ]);
  });

  test.each<[ReasonCode, number, number]>([
    ['host_not_allowed', 403, -32000],
    ['origin_not_allowed', 403, -32000],
    ['method_not_allowed', 405, -32000],
    ['unsupported_encoding', 415, -32000],
    ['parse_error', 400, -32700],
    ['invalid_request', 400, -32600],
    ['header_mismatch', 400, -32020],
    ['body_too_large', 413, -32000],
    ['session_with_initialize', 400, -32600],
    ['no_instance', 503, -32603],
    ['state_unavailable', 503, -32603],
  ])('%s is HTTP %i, code %i', (code, status, rpcCode) => {
    const answer = refuse(code, { rpcId: '1' });
    expect(answer.status).toBe(status);
    expect(JSON.parse(String(answer.body))).toMatchObject({ id: 1, error: { code: rpcCode } });
    expect(answer.facts.reason).toBe(code);
  });

  test('the specification’s codes (−32020…−32099) are used for its own purposes only', () => {
    const reserved = codes.filter((code) => reasons[code].rpcCode <= -32020 && reasons[code].rpcCode >= -32099);
    expect(reserved).toEqual(['header_mismatch']);
  });
});

test.each(codes)('%s: JSON, and Retry-After with every 503', (code) => {
  const answer = refuse(code, { headers: [['x-a', 'b']] });
  const headers = new Map(answer.headers);
  expect(headers.get('content-type')).toBe('application/json');
  expect(headers.get('x-a')).toBe('b');
  expect(headers.has('retry-after')).toBe(answer.status === 503);
  expect(JSON.parse(String(answer.body))).toMatchObject({ jsonrpc: '2.0', id: null });
});

test('an id comes back as it was written', () => {
  for (const rpcId of ['9007199254740993', '1e400', '-0', '"\\u0061\\""', '1.50', '""']) {
    expect(String(refuse('internal_error', { rpcId }).body)).toContain(`"id":${rpcId},`);
    expect(String(refuseCapacity('no_instance', 'tools/call', { rpcId, modern: false }).body)).toContain(`"id":${rpcId},`);
  }
});

test('what a client sent is text in the body, whatever it holds', () => {
  const message = 'Unknown tool: "}\r\n\u0000\u2028';
  expect(JSON.parse(String(refuse('tool_not_allowed', { message, data: { a: message } }).body)).error).toMatchObject({
    message,
    data: { a: message },
  });
});

describe('no capacity', () => {
  test('for a tools/call: a result that a model can read', () => {
    const answer = refuseCapacity('no_instance', 'tools/call', { rpcId: '5', facts: { backend: 'memory' }, modern: false });
    expect(answer.status).toBe(200);
    expect(JSON.parse(String(answer.body))).toEqual({
      jsonrpc: '2.0',
      id: 5,
      result: {
        content: [{ type: 'text', text: reasons.no_instance.message }],
        isError: true,
        _meta: { 'mcpgateway.dev/retryAfterMs': 5000 },
      },
    });
    expect(answer.facts).toEqual({ backend: 'memory', reason: 'no_instance' });
  });

  test('for a modern tools/call: with the `resultType` without which SDK 2.x takes it for no result', () => {
    const { body } = refuseCapacity('no_instance', 'tools/call', { rpcId: '5', modern: true });
    expect(JSON.parse(String(body)).result).toMatchObject({ resultType: 'complete', isError: true });
  });

  test.each([undefined, 'initialize', 'server/discover', 'tools/list'])('for %s: 503 and Retry-After', (method) => {
    const answer = refuseCapacity('too_many_waiting', method, { rpcId: '5', modern: false });
    expect([answer.status, new Map(answer.headers).get('retry-after')]).toEqual([503, '5']);
  });

  test('a tools/call without an id gets no result', () => {
    expect(refuseCapacity('recovery_failed', 'tools/call', { modern: false }).status).toBe(503);
  });
});

test('an answer without a body', () => {
  expect(bare(202, { backend: 'memory' }, [['a', 'b']])).toEqual({
    kind: 'answer',
    status: 202,
    headers: [['a', 'b']],
    body: '',
    facts: { backend: 'memory' },
  });
});
