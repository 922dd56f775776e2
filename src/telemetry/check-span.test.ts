// What the span of a decision says: names that are few, the caller's trace, and nothing that only its owner should know.

import { describe, expect, test } from 'vitest';
import { peek, type RpcFields } from '../core/rpc-peek.ts';
import { type CheckOutcome, type CheckTrace, checkSpan } from './check-span.ts';

const ENVOY = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), sampled: true };
const MESSAGE = { traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), sampled: false };
const CLIENT = { traceId: 'e'.repeat(32), spanId: 'f'.repeat(16), sampled: true };
const written = ({ traceId, spanId, sampled }: typeof ENVOY): string => `00-${traceId}-${spanId}-0${sampled ? 1 : 0}`;

function asked(message: object, meta?: string): RpcFields {
  const params = { ...('params' in message ? (message.params as object) : {}), ...(meta && { _meta: { traceparent: meta } }) };
  const seen = peek(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message, params })), { complete: true });
  if (seen.kind !== 'single') throw new Error(seen.kind);
  return seen.message;
}

const CALL = { id: 7, method: 'tools/call', params: { name: 'echo', arguments: { secret: 'S3' } } };

function spanOf({ trace = {}, ...over }: Partial<CheckOutcome> & { readonly trace?: Partial<CheckTrace> } = {}) {
  return checkSpan(
    { traceparent: written(ENVOY), tracestate: undefined, startedAt: 0, begunAt: 0, header: undefined, ...trace },
    {
      requestId: 'r1',
      rebound: false,
      status: undefined,
      facts: { backend: 'b', method: 'tools/call', tool: 'echo', tenant: 't', instance: 'i' },
      asked: asked(CALL),
      protocolVersion: undefined,
      session: 'k1',
      ...over,
    },
  );
}

describe('whose child it is', () => {
  const inMeta = asked(CALL, written(MESSAGE));
  test.each([
    ['Envoy’s span, which is all there is', { trace: {} }, ENVOY, undefined],
    ['Envoy’s span, linked to the message’s', { trace: { header: written(CLIENT) }, asked: inMeta }, ENVOY, MESSAGE],
    ['the attempt that led to the recovery', { trace: { header: written(CLIENT) }, rebound: true }, CLIENT, undefined],
    ['the message’s, when no header came with it; linked to Envoy’s', { trace: {}, asked: inMeta }, MESSAGE, ENVOY],
    [
      'the message’s, when Envoy has none',
      { trace: { traceparent: undefined, header: written(CLIENT) }, asked: inMeta },
      MESSAGE,
      undefined,
    ],
    ['Envoy’s, when the message’s is garbage', { asked: asked(CALL, '00-x-y-01') }, ENVOY, undefined],
    ['nobody’s', { trace: { traceparent: undefined } }, undefined, undefined],
  ])('%s', (_, over, parent, link) => {
    const span = spanOf(over);
    expect([span.parent, span.link]).toEqual([parent, link]);
  });
});

test('a tool call', () => {
  const span = spanOf({ protocolVersion: '2025-11-25' });
  expect(span.name).toBe('tools/call echo');
  expect(span.error).toBeUndefined();
  expect(span.attributes).toEqual({
    'mcp.method.name': 'tools/call',
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': 'echo',
    'jsonrpc.request.id': '7',
    'mcp.protocol.version': '2025-11-25',
    'mcp.session.id': 'k1',
    'network.protocol.name': 'http',
    'network.transport': 'tcp',
    'mcp_gateway.request.id': 'r1',
    'mcp_gateway.backend': 'b',
    'mcp_gateway.instance': 'i',
    'mcp_gateway.tenant': 't',
  });
});

test('a prompt, a resource', () => {
  const prompt = spanOf({ facts: { method: 'prompts/get' }, asked: asked({ id: 'x', method: 'prompts/get', params: { name: 'p' } }) });
  expect(prompt.name).toBe('prompts/get p');
  expect(prompt.attributes).toMatchObject({ 'gen_ai.prompt.name': 'p', 'jsonrpc.request.id': 'x' });
  const resource = spanOf({
    facts: { method: 'resources/read' },
    asked: asked({ id: null, method: 'resources/read', params: { uri: 'file:///S3' } }),
  });
  expect(resource.name).toBe('resources/read');
  expect(JSON.stringify(resource)).not.toContain('S3');
  expect(resource.attributes).not.toHaveProperty('jsonrpc.request.id');
});

test('names are few: methods that a client made up, batches and streams share one', () => {
  for (const method of ['acme/x', 'batch2', undefined]) expect(spanOf({ facts: { method }, asked: undefined }).name).toBe('mcp request');
  expect(spanOf({ facts: { method: 'batch' }, asked: undefined })).toMatchObject({
    name: 'batch',
    attributes: expect.not.objectContaining({ 'mcp.method.name': 'batch' }),
  });
  expect(spanOf({ facts: { method: 'acme/x' } }).attributes['mcp.method.name']).toBe('acme/x');
});

test('what a client chose is cut', () => {
  const long = 'x'.repeat(10_000);
  const { attributes } = spanOf({ asked: asked({ ...CALL, id: long }), protocolVersion: long });
  for (const key of ['jsonrpc.request.id', 'mcp.protocol.version']) expect(String(attributes[key])).toHaveLength(128);
});

describe('a refusal', () => {
  test('is an error of that reason', () => {
    const span = spanOf({ status: 404, facts: { method: 'ping', reason: 'session_not_found' } });
    expect(span.error).toBe('Session not found');
    expect(span.attributes).toMatchObject({
      'error.type': 'session_not_found',
      'rpc.response.status_code': '-32001',
      'http.response.status_code': 404,
    });
  });

  test('in band it is no JSON-RPC error', () => {
    const { attributes } = spanOf({ status: 200, facts: { method: 'tools/call', reason: 'no_instance' } });
    expect(attributes).toMatchObject({ 'error.type': 'no_instance', 'http.response.status_code': 200 });
    expect(attributes).not.toHaveProperty('rpc.response.status_code');
  });

  test('for reasons outside the table', () => {
    expect(spanOf({ status: 499, facts: { reason: 'client_gone' } })).toMatchObject({
      error: '',
      attributes: { 'error.type': 'client_gone' },
    });
  });
});
