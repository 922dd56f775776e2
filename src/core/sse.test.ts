// Events are read as WHATWG says, and only their data is ever changed.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mapSseData, withoutEventIds } from './sse.ts';

const RUNS = { seed: 20260728, numRuns: 600 };

/** What `mapSseData` hands over, and the text with every data replaced by `with`. */
function map(text: string, replacement?: string): { seen: [string, string][]; text: string | undefined } {
  const seen: [string, string][] = [];
  const out = mapSseData(Buffer.from(text), (data, type) => {
    seen.push([data.toString(), type]);
    return replacement === undefined ? data : Buffer.from(replacement);
  });
  return { seen, text: out?.toString() };
}

const read = (bytes: Buffer): string[] => map(bytes.toString()).seen.map(([data]) => data);

describe('mapSseData', () => {
  test.each<[string, [string, string][], string]>([
    ['data: a\n\n', [['a', 'message']], 'data: NEW\n\n'],
    ['data:a\r\n\r\n', [['a', 'message']], 'data: NEW\r\n\r\n'],
    ['data:  a\r\r', [[' a', 'message']], 'data: NEW\r\r'],
    [
      'event: ping\ndata: a\n\ndata: b\n\n',
      [
        ['a', 'ping'],
        ['b', 'message'],
      ],
      'event: ping\ndata: NEW\n\ndata: NEW\n\n',
    ],
    ['data: a\nevent: ping\nevent:\n\n', [['a', 'message']], 'data: NEW\nevent: ping\nevent:\n\n'],
    ['id: 1\ndata: a\n: c\ndata: b\nretry: 5\n\n', [['a\nb', 'message']], 'id: 1\ndata: NEW\n: c\nretry: 5\n\n'],
    ['\ufeffdata: a\n\n', [['a', 'message']], '\ufeffdata: NEW\n\n'],
    ['data: a', [['a', 'message']], 'data: NEW\n'],
    ['data: a\n', [['a', 'message']], 'data: NEW\n'],
    ['data\ndata\n\n', [['\n', 'message']], 'data: NEW\n\n'],
    [
      'data: é\n\n: x\n\ndata: c\n\n',
      [
        ['é', 'message'],
        ['c', 'message'],
      ],
      'data: NEW\n\n: x\n\ndata: NEW\n\n',
    ],
  ])('%j', (text, seen, replaced) => {
    expect(map(text)).toEqual({ seen, text });
    expect(map(text, 'NEW')).toEqual({ seen, text: replaced });
  });

  test.each([
    '',
    '\n\n',
    ': ping\n\n',
    'id: 1\ndata:\n\n',
    'data\n\n',
    'retry: 10\n\n',
    'Data: a\n\n',
    ' data: a\n\n',
    'dataa: a\n\n',
    '\ufeff',
    '\n\ufeffdata: a\n\n',
  ])('%j has no data', (text) => {
    expect(map(text, 'NEW')).toEqual({ seen: [], text });
  });

  test('new data of several lines becomes several data lines', () => {
    expect(map('data: a\r\n\r\n', '{\n\r\n}\r').text).toBe('data: {\r\ndata: \r\ndata: }\r\ndata: \r\n\r\n');
  });

  test('unchanged text is the buffer that was given; one refusal refuses all', () => {
    const bytes = Buffer.from('data: a\n\ndata: b\n\n');
    expect(mapSseData(bytes, (data) => data)).toBe(bytes);
    expect(mapSseData(bytes, (data) => (data.toString() === 'b' ? undefined : Buffer.from('x')))).toBeUndefined();
  });
});

describe('any stream', () => {
  const value = fc.string({ unit: fc.constantFrom('a', ':', ' ', 'é', '😀', '{', '"') });
  const line = fc.oneof(
    { weight: 3, arbitrary: value.map((data) => ({ text: `data: ${data}`, data })) },
    { weight: 1, arbitrary: fc.constant({ text: 'data', data: '' }) },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom(': c', 'id: 7', 'retry: 1', 'data-x: 1', 'unknown', 'event: message')
        .map((text) => ({ text, data: undefined })),
    },
  );
  const ending = fc.constantFrom('\n', '\r\n', '\r');
  const event = fc.tuple(fc.array(line, { minLength: 1, maxLength: 5 }), ending).map(([lines, eol]) => ({
    text: [...lines.map(({ text }) => text), '', ''].join(eol),
    data: lines.flatMap(({ data }) => data ?? []).join('\n'),
    others: lines.filter(({ data }) => data === undefined).map(({ text }) => text),
  }));
  test('is read as it was written', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), (events) => {
        const bytes = Buffer.from(events.map(({ text }) => text).join(''));
        expect(read(bytes)).toEqual(events.map(({ data }) => data).filter((data) => data !== ''));
      }),
      RUNS,
    );
  });

  test('is mapped to what its events map to, and keeps every other line', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), (events) => {
        const change = (data: string): string => (data.includes('a') ? `<${data}\n>` : data);
        const bytes = Buffer.from(events.map(({ text }) => text).join(''));
        const mapped = mapSseData(bytes, (data) => (data.includes('a') ? Buffer.from(change(data.toString())) : data));
        const expected = events.map(({ data }) => data).filter((data) => data !== '');
        expect(read(mapped as Buffer)).toEqual(expected.map(change));
        const others = (mapped as Buffer)
          .toString()
          .split(/\r\n|\r|\n/)
          .filter((each) => each !== '' && !/^data(:|$)/.test(each));
        expect(others).toEqual(events.flatMap((each) => each.others));
      }),
      RUNS,
    );
  });
});

test.each([
  ['id: 1\ndata: a\n\n', 'data: a\n\n'],
  ['id\ndata: a\nid:2\n\n', 'data: a\n\n'],
  ['\ufeffid: 1\r\ndata: a\r\nretry: 5\r\n\r\n', 'data: a\r\n\r\n'],
  [': id: 1\nidea: x\ndata: id: 1\n\nid: 9', ': id: 1\nidea: x\ndata: id: 1\n\n'],
  ['data: a\n\n', 'data: a\n\n'],
  ['', ''],
])('without what a client could resume by: %j', (text, expected) => {
  expect(withoutEventIds(Buffer.from(text)).toString()).toBe(expected);
});
