// Reading JSON-RPC messages without touching them.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Message, readMessages, sameNumber } from './message.ts';

function read(text: string): readonly Message[] {
  const result = readMessages(Buffer.from(text));
  if (typeof result === 'string') {
    throw new Error(result);
  }
  return result.messages;
}
const one = (text: string) => read(text)[0] as Message;

describe('readMessages', () => {
  it('tells the kinds apart', () => {
    expect(one('{"jsonrpc":"2.0","id":1,"method":"ping"}')).toMatchObject({ kind: 'request', id: 'n1', rawId: '1', method: 'ping' });
    expect(one('{"jsonrpc":"2.0","method":"notifications/x"}')).toMatchObject({ kind: 'notification', id: undefined });
    expect(one('{"jsonrpc":"2.0","id":"a","result":{}}')).toMatchObject({ kind: 'response', id: 'sa', failed: false });
    expect(one('{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":""}}')).toMatchObject({ kind: 'response', failed: true });
  });

  it('keeps the bytes of each element of a batch', () => {
    const parts = ['{"jsonrpc": "2.0", "id":9007199254740993,"method":"a"}', '{"id":1.0,"jsonrpc":"2.0","method":"\\u0061"}'];
    const messages = read(` [ ${parts.join(' , ')} ] `);
    expect(messages.map(({ bytes }) => bytes.toString())).toEqual(parts);
    expect(messages.map(({ rawId }) => rawId)).toEqual(['9007199254740993', '1.0']);
    expect(messages.map(({ id }) => id)).toEqual(['n9007199254740993', 'n1']);
    expect(messages[1]?.method).toBe('a');
  });

  it('never lets a number meet a string', () => {
    expect(one('{"jsonrpc":"2.0","id":"1","method":"a"}').id).not.toBe(one('{"jsonrpc":"2.0","id":1,"method":"a"}').id);
    expect(one('{"jsonrpc":"2.0","id":"\\u00e9","method":"a"}').id).toBe(one('{"jsonrpc":"2.0","id":"é","method":"a"}').id);
  });

  it('finds progress tokens and cancellations', () => {
    expect(one('{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{"x":[],"progressToken":"t"}}}').progressToken).toBe('st');
    expect(one('{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7}}').progressToken).toBe('n7');
    expect(one('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}').cancels).toBe('n7');
  });

  it('puts a message on one line and leaves its meaning', () => {
    const text = '{\r\n  "jsonrpc": "2.0",\n\t"id": 1,\r"method": "a\\nb"\n}\n';
    const { bytes, method } = one(text);
    expect(bytes.includes(10) || bytes.includes(13)).toBe(false);
    expect(method).toBe('a\nb');
    expect(JSON.parse(bytes.toString())).toEqual(JSON.parse(text));
  });

  it.each(['', '{', '{}}', '{"a":1,}', 'nonsense', '[{"jsonrpc":"2.0","method":"a"}', '{"jsonrpc":"2.0","method":"a"} x', '\ufeff{}'])(
    '%j is no JSON',
    (text) => {
      expect(readMessages(Buffer.from(text))).toBe('not-json');
    },
  );

  it('wants UTF-8', () => {
    expect(readMessages(Buffer.from([0x22, 0xff, 0x22]))).toBe('not-json');
  });

  it.each([
    '1',
    '[]',
    '{}',
    '{"method":"a","id":1}',
    '{"jsonrpc":"1.0","method":"a"}',
    '{"jsonrpc":"2.0","id":1}',
    '{"jsonrpc":"2.0","id":null,"method":"a"}',
    '{"jsonrpc":"2.0","id":{},"method":"a"}',
    '{"jsonrpc":"2.0","method":1}',
    '[1]',
    '[{"jsonrpc":"2.0","method":"a"},1]',
  ])('%s is no JSON-RPC', (text) => {
    expect(readMessages(Buffer.from(text))).toBe('not-rpc');
  });

  it('passes any JSON value on byte by byte', () => {
    fc.assert(
      fc.property(fc.json(), fc.integer({ min: 0, max: 3 }), (params, indent) => {
        const text = JSON.stringify({ jsonrpc: '2.0', id: 'x', method: 'm', params: JSON.parse(params) as unknown }, null, indent);
        const { bytes } = one(text);
        expect(bytes.toString()).toBe(text.replaceAll('\n', ' '));
      }),
    );
  });

  it('takes any bytes without throwing, and believes JSON.parse', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.json(), fc.nat(5), (noise, json, cut) => {
        const text = json.slice(0, json.length - cut);
        expect(readMessages(Buffer.from(noise))).toBeTypeOf('string');
        expect(readMessages(Buffer.from(text)) === 'not-json').toBe(!isJson(text));
      }),
    );
  });
});

it('matches a rounded number with the number it was made from', () => {
  expect(sameNumber('n9007199254740993', 'n9007199254740992')).toBe(true);
  expect(sameNumber('n1', 'n2')).toBe(false);
  expect(sameNumber('s1', 'n1')).toBe(false);
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
