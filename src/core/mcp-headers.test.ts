// Headers and bodies of modern requests agree exactly when the SDK's own server says so.

import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { decodeMcpName, type HeaderDisagreement, headersAgree, isModernVersion, type McpHeaders } from './mcp-headers.ts';
import { PROTOCOL_VERSION_KEY, peek } from './rpc-peek.ts';

const RUNS = { seed: 20260728, numRuns: 600 };
const MODERN = '2026-07-28';
const LATER = '2027-01-01';
const LEGACY = '2025-11-25';

const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;

interface Message {
  readonly method: string;
  readonly id?: number;
  readonly params?: Record<string, unknown>;
}

function withVersion(message: Message, version: string | undefined): Message {
  if (version === undefined) return message;
  const _meta = { [PROTOCOL_VERSION_KEY]: version, 'io.modelcontextprotocol/clientCapabilities': {} };
  return { ...message, params: { ...message.params, _meta } };
}

function check(headers: Partial<McpHeaders>, message: Message): HeaderDisagreement | undefined {
  const result = peek(Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message })), { complete: true });
  if (result.kind !== 'single') throw new Error(JSON.stringify(result));
  return headersAgree({ mcpMethod: undefined, mcpName: undefined, protocolVersion: undefined, ...headers }, result.message);
}

const call = { method: 'tools/call', id: 1, params: { name: 'echo', arguments: {} } };
const agreeing = { protocolVersion: MODERN, mcpMethod: 'tools/call', mcpName: 'echo' };

describe('a modern request', () => {
  const modernCall = withVersion(call, MODERN);
  test.each<[Partial<McpHeaders>, string | undefined]>([
    [agreeing, undefined],
    [{ ...agreeing, mcpName: ' echo\t' }, undefined],
    [{ ...agreeing, mcpName: base64('echo') }, undefined],
    [{ ...agreeing, protocolVersion: LATER }, 'version-mismatch'],
    [{ ...agreeing, protocolVersion: LEGACY }, 'version-mismatch'],
    [{ ...agreeing, protocolVersion: undefined }, 'version-missing'],
    [{ ...agreeing, mcpMethod: 'tools/list' }, 'method-mismatch'],
    [{ ...agreeing, mcpMethod: 'Tools/Call' }, 'method-mismatch'],
    [{ ...agreeing, mcpMethod: '' }, 'method-mismatch'],
    [{ ...agreeing, mcpMethod: undefined }, 'method-missing'],
    [{ ...agreeing, mcpName: 'other' }, 'name-mismatch'],
    [{ ...agreeing, mcpName: base64('other') }, 'name-mismatch'],
    [{ ...agreeing, mcpName: undefined }, 'name-missing'],
    [{ ...agreeing, mcpName: '=?base64?***?=' }, 'name-encoding'],
    [{}, 'version-missing'],
  ])('with %j: %s', (headers, fault) => {
    expect(check(headers, modernCall)?.fault).toBe(fault);
  });

  test.each<[string, string, string]>([
    ['prompts/get', 'name', 'p'],
    ['resources/read', 'uri', 'file:///ä'],
    ['tasks/get', 'taskId', 't1'],
    ['tasks/update', 'taskId', 't1'],
    ['tasks/cancel', 'taskId', 't1'],
  ])('%s is named by params.%s', (mcpMethod, field, value) => {
    const message = withVersion({ method: mcpMethod, id: 1, params: { [field]: value } }, MODERN);
    const headers = { protocolVersion: MODERN, mcpMethod };
    expect(check({ ...headers, mcpName: base64(value) }, message)).toBeUndefined();
    expect(check({ ...headers, mcpName: 'other' }, message)?.fault).toBe('name-mismatch');
    expect(check(headers, message)?.fault).toBe('name-missing');
    expect(check({ ...headers, mcpName: 'any' }, withVersion({ method: mcpMethod, id: 1 }, MODERN))).toBeUndefined();
  });

  test('methods that name nothing need no Mcp-Name, and ignore one', () => {
    const list = withVersion({ method: 'tools/list', id: 1, params: { name: 'x' } }, MODERN);
    expect(check({ protocolVersion: MODERN, mcpMethod: 'tools/list' }, list)).toBeUndefined();
    expect(check({ protocolVersion: MODERN, mcpMethod: 'tools/list', mcpName: 'y' }, list)).toBeUndefined();
  });

  test('of a version that the gateway does not know: what differs counts, what is missing does not', () => {
    const later = withVersion(call, LATER);
    expect(check({}, later)).toBeUndefined();
    expect(check({ protocolVersion: LATER, mcpMethod: 'tools/call', mcpName: 'other' }, later)?.fault).toBe('name-mismatch');
    expect(check({ protocolVersion: LATER, mcpMethod: 'ping' }, later)?.fault).toBe('method-mismatch');
    expect(check({ ...agreeing, mcpName: 'other' }, call)?.fault).toBe('name-mismatch');
  });
});

test('legacy messages pass with whatever headers', () => {
  for (const protocolVersion of [undefined, LEGACY, '']) {
    expect(check({ protocolVersion, mcpMethod: 'other', mcpName: 'other' }, call)).toBeUndefined();
    expect(check({ protocolVersion, mcpMethod: 'other' }, { method: 'notifications/initialized' })).toBeUndefined();
  }
  const answer = peek(Buffer.from('{"id":1,"result":{}}'), { complete: true });
  if (answer.kind !== 'single') throw new Error('not a message');
  expect(headersAgree({ protocolVersion: MODERN, mcpMethod: 'x', mcpName: 'x' }, answer.message)).toBeUndefined();
});

test.each([
  ['echo', 'echo'],
  ['', ''],
  [base64('zażółć'), 'zażółć'],
  ['=?base64??=', ''],
  ['=?base64?=', ''],
  ['=?base64?YQ==', '=?base64?YQ=='],
  ['=?BASE64?YQ==?=', '=?BASE64?YQ==?='],
  ['=?base64?YQ==?=', 'a'],
  ['=?base64?YR==?=', 'a'],
  ['=?base64?YQ?=', undefined],
  ['=?base64?YQ=?=', undefined],
  ['=?base64?Y===?=', undefined],
  ['=?base64?====?=', undefined],
  ['=?base64?YQ==YQ==?=', undefined],
  ['=?base64?Y Q=?=', undefined],
  ['=?base64?__-_?=', undefined],
  ['=?base64?/w==?=', undefined],
])('Mcp-Name %j says %j', (value, expected) => {
  expect(decodeMcpName(value)).toBe(expected);
});

test('versions are dates', () => {
  expect([MODERN, LATER, 'DRAFT'].every(isModernVersion)).toBe(true);
  expect([LEGACY, '', '2026-07-27'].some(isModernVersion)).toBe(false);
});

describe('the SDK’s own server', () => {
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'test', version: '1' });
    server.registerTool('echo', { description: 'answers' }, () => ({ content: [{ type: 'text', text: 'ok' }] }));
    return server;
  });
  afterAll(() => handler.close());

  /** The error of the SDK, when it is about headers that disagree. */
  async function mismatch(headers: Partial<McpHeaders>, message: Message): Promise<unknown> {
    const sent = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' });
    if (headers.protocolVersion !== undefined) sent.set('mcp-protocol-version', headers.protocolVersion);
    if (headers.mcpMethod !== undefined) sent.set('mcp-method', headers.mcpMethod);
    if (headers.mcpName !== undefined) sent.set('mcp-name', headers.mcpName);
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    const response = await handler.fetch(new Request('http://localhost/mcp', { method: 'POST', headers: sent, body }));
    const text = await response.text();
    if (response.status !== 400) return undefined;
    const { error } = JSON.parse(text);
    return error.code === -32020 ? { message: error.message, data: error.data } : undefined;
  }

  const version = fc.constantFrom(MODERN, MODERN, LATER, LEGACY, undefined);
  const method = fc.constantFrom('tools/call', 'tools/list', 'resources/read', 'prompts/get', 'tasks/get', 'ping', 'initialize', 'acme/x');
  const name = fc.constantFrom('echo', 'other', 'é "x"');
  const headerName = fc.oneof(
    name.map(base64),
    fc.constantFrom('echo', 'other', ' echo ', '=?base64?YQ?=', '=?base64?/w==?=', '', undefined),
  );
  const exchange = fc.record({
    bodyVersion: version,
    headerVersion: version,
    method,
    mcpMethod: fc.option(method, { nil: undefined }),
    sameMethod: fc.boolean(),
    mcpName: headerName,
    sameName: fc.boolean(),
    params: fc.record({ name, uri: name, taskId: name }, { requiredKeys: [] }),
    notification: fc.boolean(),
  });

  test('refuses the same requests for the same reason, in the same words', async () => {
    const faults = new Set<string | undefined>();
    await fc.assert(
      fc.asyncProperty(exchange, async (each) => {
        const bare: Message = { method: each.method, ...(each.notification ? {} : { id: 1 }), params: each.params };
        const message = withVersion(bare, each.bodyVersion);
        const field = each.method === 'resources/read' ? 'uri' : each.method === 'tasks/get' ? 'taskId' : 'name';
        const named = each.params[field];
        const headers = {
          protocolVersion: each.headerVersion,
          mcpMethod: each.sameMethod ? each.method : each.mcpMethod,
          mcpName: each.sameName && named !== undefined ? base64(named) : each.mcpName,
        };
        const found = check(headers, message);
        const expected = await mismatch(headers, message);
        const headerIsModern = each.headerVersion !== undefined && isModernVersion(each.headerVersion);
        const bodyIsModern = each.bodyVersion !== undefined && isModernVersion(each.bodyVersion);
        // The differences that `headersAgree` documents.
        if (each.method === 'initialize' && headerIsModern && !bodyIsModern && !each.notification) return;
        if (found?.fault.startsWith('name-') && each.bodyVersion !== MODERN) return;
        if (found?.fault === 'method-mismatch' && each.bodyVersion === undefined && !each.notification) return;
        faults.add(found?.fault);
        expect(found && { message: found.message, data: found.data }).toEqual(expected);
      }),
      RUNS,
    );
    expect([...faults].map(String).sort()).toEqual([
      'method-mismatch',
      'method-missing',
      'name-encoding',
      'name-mismatch',
      'name-missing',
      'undefined',
      'version-mismatch',
      'version-missing',
    ]);
  });
});
