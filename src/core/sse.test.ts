// Events are read as WHATWG says, whatever the chunks, and only their data is ever changed.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mapSseData, SseEventTooLarge, sseMessages } from './sse.ts';

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

async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

async function read(chunks: readonly (string | Uint8Array)[], maxEventBytes = 1_000_000): Promise<string[]> {
  const messages: string[] = [];
  const bytes = chunks.map((chunk) => Buffer.from(chunk as string));
  for await (const data of sseMessages(stream(bytes), { maxEventBytes })) messages.push(data.toString());
  return messages;
}

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

describe('sseMessages', () => {
  test.each<[string[], string[]]>([
    [['data: a\n\n'], ['a']],
    [['da', 'ta: ', 'a\n', '\n'], ['a']],
    [
      ['data: a\r', '\n\r', '\ndata: b\r\n\r\n'],
      ['a', 'b'],
    ],
    [['data: a\r', '\ndata: b\r', '\n\r\n'], ['a\nb']],
    [['data: a\r\r'], ['a']],
    [
      ['data: a\r', '\r', 'data: b\r', '\r'],
      ['a', 'b'],
    ],
    [['\ufeffdata: a\n\n\ufeffdata: b\n\n'], ['a']],
    [['id: 1\ndata:\n\n', ': c\n\n', 'event: ping\ndata: p\n\n', 'event: message\ndata: a\n\n'], ['a']],
    [['data: a\n\ndata: cut'], ['a']],
    [['data: a\n\ndata: cut\n'], ['a']],
    [['', 'data: a\n', '', '\n', ''], ['a']],
  ])('%j', async (chunks, messages) => {
    expect(await read(chunks)).toEqual(messages);
  });

  test('a character torn apart, and one byte at a time', async () => {
    const bytes = [...Buffer.from('\ufeffdata: é😀\r\n\r\n')].map((byte) => Buffer.of(byte));
    expect(await read(bytes)).toEqual(['é😀']);
  });

  test('the limit counts one event, not comments or what went before', async () => {
    const limit = 100;
    const line = `data: ${'x'.repeat(40)}\n`;
    expect(await read([`${line}${line}\n`.repeat(5)], limit)).toHaveLength(5);
    expect(await read([`: ${'c'.repeat(60)}\n`.repeat(5), 'data: a\n\n'], limit)).toEqual(['a']);
    await expect(read([`${line}${line}${line}\n`], limit)).rejects.toThrow(SseEventTooLarge);
    await expect(read(Array(101).fill('x'), limit)).rejects.toThrow(SseEventTooLarge);
  });

  test('a reader that stops ends the stream', async () => {
    let ended = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.from('data: a\n\n');
      } finally {
        ended = true;
      }
    }
    for await (const data of sseMessages(endless(), { maxEventBytes: 100 })) {
      expect(data.toString()).toBe('a');
      break;
    }
    expect(ended).toBe(true);
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
  const chunkSizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 });

  function chunked(bytes: Buffer, sizes: readonly number[]): Buffer[] {
    const chunks: Buffer[] = [];
    for (let at = 0, index = 0; at < bytes.length; index += 1) {
      const size = sizes[index % sizes.length] as number;
      chunks.push(bytes.subarray(at, at + size));
      at += size;
    }
    return chunks;
  }

  test('is read the same in whatever chunks it comes, and says what was written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 5 }), chunkSizes, async (events, sizes) => {
        const bytes = Buffer.from(events.map(({ text }) => text).join(''));
        expect(await read(chunked(bytes, sizes))).toEqual(events.map(({ data }) => data).filter((data) => data !== ''));
      }),
      RUNS,
    );
  });

  test('is mapped to what its events map to, and keeps every other line', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 5 }), async (events) => {
        const change = (data: string): string => (data.includes('a') ? `<${data}\n>` : data);
        const bytes = Buffer.from(events.map(({ text }) => text).join(''));
        const mapped = mapSseData(bytes, (data) => (data.includes('a') ? Buffer.from(change(data.toString())) : data));
        const expected = events.map(({ data }) => data).filter((data) => data !== '');
        expect(await read([mapped as Buffer])).toEqual(expected.map(change));
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
