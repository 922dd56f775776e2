// Hidden tools are cut out of a list, and every other byte of it stays as it was.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { filterToolsList } from './list-filter.ts';

const RUNS = { seed: 20260728, numRuns: 600 };
const notX = (name: string): boolean => !name.startsWith('x');

/** The filtered text, or `error: …`. Tools whose name starts with x go. */
function filter(text: string, privateCache = false): string {
  const outcome = filterToolsList(Buffer.from(text), notX, { privateCache });
  return 'error' in outcome ? `error: ${outcome.error}` : outcome.body.toString();
}

const list = (tools: string): string => `{"jsonrpc":"2.0","id":1,"result":{"tools":${tools},"nextCursor":"x"}}`;

describe('cutting', () => {
  test.each([
    ['[]', '[]'],
    ['[ ]', '[ ]'],
    ['[{"name":"a"}]', '[{"name":"a"}]'],
    ['[{"name":"x"}]', '[]'],
    ['[ {"name":"x"} ]', '[  ]'],
    ['[{"name":"x"},{"name":"a"}]', '[{"name":"a"}]'],
    ['[{"name":"a"},{"name":"x"}]', '[{"name":"a"}]'],
    ['[{"name":"a"}, {"name":"x"} ,{"name":"b"}]', '[{"name":"a"} ,{"name":"b"}]'],
    ['[{"name":"x1"},{"name":"x2"},{"name":"a"},{"name":"x3"}]', '[{"name":"a"}]'],
    ['[\n {"name":"x"},\n {"name":"a"}\n]', '[\n {"name":"a"}\n]'],
    ['[{"name":"a"},{"name":"x"},{"name":"x"},{"name":"b"},{"name":"x"}]', '[{"name":"a"},{"name":"b"}]'],
    ['[{"n\\u0061me":"\\u0078"},{"name":"a"}]', '[{"name":"a"}]'],
    ['[{"inputSchema":{"name":"x"},"name":"a"}]', '[{"inputSchema":{"name":"x"},"name":"a"}]'],
  ])('%s → %s', (tools, expected) => {
    expect(filter(list(tools))).toBe(list(expected));
  });

  test('what stays is the same text: numbers, key order, spacing, escapes, and cursor', () => {
    const before =
      '{ "id": 9007199254740993, "result": { "nextCursor": "\\u0061", "tools" : [ {"name":"x"} , {"max":1.0e+2,"name":"a","id":12345678901234567890} ], "z":[1 ,2] } }\n';
    const after =
      '{ "id": 9007199254740993, "result": { "nextCursor": "\\u0061", "tools" : [ {"max":1.0e+2,"name":"a","id":12345678901234567890} ], "z":[1 ,2] } }\n';
    expect(filter(before)).toBe(after);
  });

  test('counts what it removed; an answer without a change is the very buffer that was given', () => {
    const body = Buffer.from(list('[{"name":"a"}]'));
    expect(filterToolsList(body, notX, { privateCache: true })).toEqual({ body, removed: 0 });
    const outcome = filterToolsList(body, notX, { privateCache: true });
    expect('body' in outcome && outcome.body).toBe(body);
    expect(filterToolsList(Buffer.from(list('[{"name":"x"},{"name":"xx"}]')), notX, { privateCache: false })).toMatchObject({ removed: 2 });
  });

  test('every element of a batch, and nothing in messages of another kind', () => {
    expect(filter(`[${list('[{"name":"x"}]')}, ${list('[{"name":"a"},{"name":"x"}]')}]`)).toBe(
      `[${list('[]')}, ${list('[{"name":"a"}]')}]`,
    );
    for (const other of [
      '{"id":1,"result":{}}',
      '{"id":1,"error":{"code":1,"tools":3}}',
      '{"method":"a","params":{"tools":[{"name":"x"}]}}',
      '{}',
      '[]',
    ]) {
      expect(filter(other)).toBe(other);
    }
  });
});

describe('cacheScope', () => {
  test.each([
    ['{"result":{"cacheScope":"public","tools":[]}}', '{"result":{"cacheScope":"private","tools":[]}}'],
    ['{"result":{"tools":[{"name":"x"}],"cacheScope" : "public" }}', '{"result":{"tools":[],"cacheScope" : "private" }}'],
    ['{"result":{"cacheScope":"private","tools":[]}}', '{"result":{"cacheScope":"private","tools":[]}}'],
    ['{"result":{"cacheScope":{"a":1},"tools":[]}}', '{"result":{"cacheScope":"private","tools":[]}}'],
    ['{"result":{"tools":[]}}', '{"result":{"tools":[]}}'],
    ['{"cacheScope":"public","result":{"tools":[]}}', '{"cacheScope":"public","result":{"tools":[]}}'],
  ])('%s → %s', (before, after) => {
    expect(filter(before, true)).toBe(after);
  });
  test('stays without privateCache', () => {
    const text = '{"result":{"cacheScope":"public","tools":[]}}';
    expect(filter(text, false)).toBe(text);
  });
});

describe('what is not understood is an error', () => {
  test.each([
    '',
    'x',
    '1',
    '{"result":{"tools":[]}',
    '{"result":{"tools":[]}} x',
    '{"result":{"tools":[{"name":"a"},]}}',
    '{"result":{"tools":{}}}',
    '{"result":{"tools":null}}',
    '{"result":null}',
    '{"result":[]}',
    '[1]',
    list('["a"]'),
    list('[{}]'),
    list('[{"name":1}]'),
    list('[{"name":"a","name":"b"}]'),
    list('[{"name":"a","n\\u0061me":"b"}]'),
    list('[{"name":"a","Name":"b"}]'),
    list('[{"name":"a\\u0000"}]'),
    list('[{"name":"\\ud800"}]'),
    list('[[{"name":"a"}]]'),
    '{"result":{"tools":[],"tools":[]}}',
    '{"result":{"tools":[],"Tools":[]}}',
    '{"result":{"tool\\u017f":[]}}',
    '{"result":{},"result":{"tools":[]}}',
    '{"Result":{"tools":[]}}',
    '{"result":{"tools":[],"cacheScope":"public","cacheScope":"private"}}',
    '\ufeff{"result":{"tools":[]}}',
  ])('%j', (text) => {
    expect(filter(text)).toMatch(/^error: /);
  });
  test('bytes that are not UTF-8', () => {
    expect(filterToolsList(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), notX, { privateCache: false })).toEqual({
      error: 'not UTF-8',
    });
  });
});

describe('any answer', () => {
  const name = fc.constantFrom('a', 'b', 'x', 'xy', 'é', 'x😀');
  const tool = fc.record({ name, description: fc.string(), inputSchema: fc.jsonValue({ maxDepth: 2 }) }, { requiredKeys: ['name'] });
  const answer = fc.record({
    jsonrpc: fc.constant('2.0'),
    id: fc.oneof(fc.integer(), fc.string()),
    result: fc.record(
      {
        tools: fc.array(tool, { maxLength: 8 }),
        nextCursor: fc.string(),
        cacheScope: fc.constantFrom('public', 'private'),
        _meta: fc.jsonValue({ maxDepth: 1 }),
      },
      { requiredKeys: [] },
    ),
  });

  test('holds after filtering what filtering its value leaves', () => {
    fc.assert(
      fc.property(
        fc.oneof(answer, fc.array(answer, { maxLength: 3 })),
        fc.constantFrom(0, 1, '\t'),
        fc.boolean(),
        (value, indent, privateCache) => {
          const text = JSON.stringify(value, null, indent);
          const expected = JSON.parse(text, (key, item) => {
            if (key === 'tools' && Array.isArray(item)) return item.filter((each) => notX(each.name));
            return item;
          });
          for (const each of [expected].flat()) {
            if (privateCache && each.result.cacheScope !== undefined) each.result.cacheScope = 'private';
          }
          const outcome = filterToolsList(Buffer.from(text), notX, { privateCache });
          if ('error' in outcome) throw new Error(outcome.error);
          expect(JSON.parse(outcome.body.toString())).toEqual(expected);
          expect(Object.keys(JSON.parse(outcome.body.toString()))).toEqual(Object.keys(expected));
        },
      ),
      RUNS,
    );
  });

  test('with one byte changed is an error or still hides what it must', () => {
    fc.assert(
      fc.property(answer, fc.nat(), fc.nat({ max: 255 }), (value, at, byte) => {
        const body = Buffer.from(JSON.stringify(value));
        body[at % body.length] = byte;
        const outcome = filterToolsList(body, notX, { privateCache: false });
        if ('error' in outcome) return;
        const tools = JSON.parse(outcome.body.toString()).result?.tools ?? [];
        expect(tools.filter((each: { name: string }) => !notX(each.name))).toEqual([]);
      }),
      RUNS,
    );
  });
});
