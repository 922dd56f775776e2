// Which decisions leave a line in the audit log, and that each is one line of JSON whatever a client has sent.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyText } from '../../test/fakes/texts.ts';
import { peek, type RpcMessage } from '../core/rpc-peek.ts';
import { type AuditEntry, auditLine, auditOf, type Decided } from './audit-line.ts';

const TIME = '2026-07-28T10:00:00.000Z';

function messagesOf(body: Buffer): readonly RpcMessage[] {
  const seen = peek(body, { complete: true });
  if (seen.kind === 'single') return [seen.message];
  if (seen.kind === 'batch') return seen.messages;
  throw new Error(seen.kind);
}

const bodyOf = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const call = (name: string, args: unknown = { q: 'x' }) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name, arguments: args },
});

function decided(over: Partial<Decided> & { readonly json?: unknown } = {}): Decided {
  const { json = call('echo'), ...rest } = over;
  return {
    requestId: 'r1',
    issuer: 'https://issuer/',
    facts: { subject: 's', tenant: 't', backend: 'b', method: 'tools/call', tool: 'echo', reason: undefined },
    session: 'k1',
    messages: messagesOf(bodyOf(json)),
    body: undefined,
    ...rest,
  };
}

const written = (entry: AuditEntry) => JSON.parse(auditLine(entry, TIME)) as Record<string, unknown>;
const linesOf = (decision: Decided) => auditOf(decision).map(written);

describe('what leaves a line', () => {
  test('a tool call that is let through', () => {
    expect(linesOf(decided())).toEqual([
      {
        time: TIME,
        event: 'tool_call',
        requestId: 'r1',
        caller: { issuer: 'https://issuer/', subject: 's' },
        tenant: 't',
        backend: 'b',
        method: 'tools/call',
        tool: 'echo',
        session: 'k1',
      },
    ]);
  });

  test('each call of a batch, and nothing else of it', () => {
    const json = [call('a'), { jsonrpc: '2.0', id: 2, method: 'ping' }, call('b')];
    const facts = { ...decided().facts, method: 'batch', tool: undefined };
    expect(linesOf(decided({ json, facts })).map(({ method, tool }) => [method, tool])).toEqual([
      ['tools/call', 'a'],
      ['tools/call', 'b'],
    ]);
  });

  test('a call of whose body only the beginning is known', () => {
    expect(linesOf(decided({ messages: [] }))).toMatchObject([{ event: 'tool_call', tool: 'echo' }]);
  });

  test('a refusal, whatever was refused', () => {
    const facts = { backend: 'b', method: 'tools/list', reason: 'backend_forbidden' };
    const [line] = linesOf(decided({ facts, session: undefined, json: { jsonrpc: '2.0', id: 1, method: 'tools/list' } }));
    expect(line).toEqual({
      ...{ time: TIME, event: 'refusal', requestId: 'r1', caller: { issuer: 'https://issuer/', subject: null } },
      ...{ backend: 'b', method: 'tools/list', reason: 'backend_forbidden' },
    });
    expect(linesOf(decided({ facts: { reason: 'token_missing' }, issuer: undefined, session: undefined, messages: [] }))).toEqual([
      { time: TIME, event: 'refusal', requestId: 'r1', reason: 'token_missing' },
    ]);
  });

  test('a refused batch leaves one', () => {
    const facts = { ...decided().facts, method: 'batch', tool: undefined, reason: 'tool_not_allowed' };
    expect(linesOf(decided({ json: [call('a'), call('b')], facts }))).toMatchObject([{ event: 'refusal', method: 'batch' }]);
  });

  test('nothing else does', () => {
    const facts = { ...decided().facts, method: 'tools/list', tool: undefined };
    expect(auditOf(decided({ json: { jsonrpc: '2.0', id: 1, method: 'tools/list' }, facts }))).toEqual([]);
    expect(auditOf(decided({ messages: [], facts: { ...facts, method: undefined } }))).toEqual([]);
  });
});

describe('arguments', () => {
  test('only where a body is given', () => {
    const json = call('echo', { secret: 'S3' });
    expect(JSON.stringify(linesOf(decided({ json })))).not.toContain('S3');
    expect(linesOf(decided({ json, body: bodyOf(json) }))[0]?.['arguments']).toBe('{"secret":"S3"}');
  });

  test('also of a call that was refused', () => {
    const facts = { ...decided().facts, reason: 'tool_not_allowed' };
    expect(linesOf(decided({ facts, body: bodyOf(call('echo')) }))[0]?.['arguments']).toBe('{"q":"x"}');
  });

  test('as they were written, on one line', () => {
    const json = '{"method":"tools/call","id":1,"params":{"name":"echo","arguments":{\n "n": 1.50,\r\n "n": "\\u00e9"}}}';
    const [entry] = auditOf(decided({ json, body: bodyOf(json) }));
    const line = auditLine(entry as AuditEntry, TIME);
    expect(line.match(/[\n\r]/g)).toEqual(['\n']);
    expect((JSON.parse(line) as AuditEntry).arguments).toBe('{\n "n": 1.50,\r\n "n": "\\u00e9"}');
  });

  test('long ones are cut at a character, and the line says so', () => {
    for (const lead of ['', 'a', 'ab', 'abc']) {
      const json = call('echo', lead + '😀'.repeat(10_000));
      const [line] = linesOf(decided({ json, body: bodyOf(json) }));
      const text = line?.['arguments'] as string;
      expect(line?.['argumentsCut']).toBe(true);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(16_384);
      expect(Buffer.byteLength(text)).toBeGreaterThan(16_380);
      expect(`"${lead}${'😀'.repeat(10_000)}"`.startsWith(text)).toBe(true);
    }
  });
});

test('an administrator’s change', () => {
  expect(written({ event: 'admin', subject: 'local', issuer: 'local', action: 'session.end', target: 'k1', outcome: 'done' })).toEqual({
    ...{ time: TIME, event: 'admin', caller: { issuer: 'local', subject: 'local' }, action: 'session.end', target: 'k1', outcome: 'done' },
  });
});

test('any text in any field makes one line of JSON that says it', () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      const line = auditLine({ event: 'refusal', requestId: text, issuer: text, subject: text, tool: text, target: text }, TIME);
      expect(line.match(/\n/g)).toHaveLength(1);
      const found = JSON.parse(line) as Record<string, unknown>;
      expect([found['requestId'], found['tool'], found['target'], found['caller']]).toEqual([
        text,
        text,
        text,
        { issuer: text, subject: text },
      ]);
    }),
    { seed: 20260728, numRuns: 300 },
  );
});
