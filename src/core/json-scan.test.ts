// The scanner agrees with JSON.parse on what is valid JSON, and is linear and safe on what is not.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonScanner, MAX_JSON_DEPTH } from './json-scan.ts';
import { isAmbiguousText, KeySet } from './json-scan-keys.ts';

const RUNS = { seed: 20260728, numRuns: 400 };

function accepts(text: Buffer): boolean {
  const scanner = new JsonScanner(text);
  scanner.skipValue();
  return scanner.atEnd();
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('the grammar is that of JSON.parse', () => {
  const texts = [
    ...[
      '',
      ' ',
      '{',
      '}',
      '[',
      ']',
      '{}',
      '[]',
      ' [ ] ',
      '{ }',
      '[[]]',
      '[[],{}]',
      '[1,]',
      '[,1]',
      '[1 2]',
      '[1,,2]',
      '[}',
      '{]',
      '[1]]',
      '[]x',
    ],
    ...['{"a"}', '{"a":}', '{"a":1,}', '{,"a":1}', '{"a":1 "b":2}', '{a:1}', "{'a':1}", '{1:1}', '{"a":1}}', '{"a"::1}', '{"a":1,"a":2}'],
    ...['true', 'false', 'null', 'tru', 'truE', 'nulll', 'undefined', 'NaN', 'Infinity', '-Infinity', 'TRUE'],
    ...[
      '0',
      '-0',
      '00',
      '01',
      '-01',
      '-',
      '+1',
      '1.',
      '.1',
      '1.0',
      '1.e1',
      '1e',
      '1e+',
      '1e5',
      '1E-5',
      '1e400',
      '1e5.5',
      '0x10',
      '1_0',
      '9007199254740993',
      '- 1',
    ],
    ...[
      '""',
      '"',
      '"a',
      '"\\"',
      '"\\\\"',
      '"\\n"',
      '"\\x"',
      '"\\u12"',
      '"\\u12G4"',
      '"\\ud800"',
      '"\\u0000"',
      '"\t"',
      '"\n"',
      '"\u007f"',
      '"\u2028"',
      '"é"',
      '"😀"',
    ],
    ...['\ufeff{}', '\u00a0{}', '\v{}', '\f{}', '{}\0', '\0', '// c\n{}', '/**/{}', '{}\n\r\t '],
  ];
  test.each(texts)('%j', (text) => {
    expect(accepts(Buffer.from(text))).toBe(parses(text));
  });

  test('any text of JSON characters', () => {
    const unit = fc.constantFrom(...'{}[]",:\\u0019eE+-. \n\ttruefalsn/b', 'é', '\u0001', '"a"', '{"a":', 'true', 'null');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 14 }), (text) => {
        expect(accepts(Buffer.from(text))).toBe(parses(text));
      }),
      { ...RUNS, numRuns: 4000 },
    );
  });

  test('any value, and what becomes of it when one byte changes', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), fc.nat(), fc.constantFrom(...'{}[]",:\\0e-. x\n'), (text, at, replacement) => {
        expect(accepts(Buffer.from(text))).toBe(true);
        const index = at % text.length;
        const changed = text.slice(0, index) + replacement + text.slice(index + 1);
        expect(accepts(Buffer.from(changed))).toBe(parses(changed));
      }),
      RUNS,
    );
  });

  test('every cut of a text is a cut, not a fault of syntax', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 3 }), (text) => {
        const bytes = Buffer.from(`[${text}]`);
        const faults = Array.from(bytes, (_, end) => {
          const scanner = new JsonScanner(bytes.subarray(0, end));
          scanner.skipValue();
          return scanner.fault;
        });
        expect(new Set(faults)).toEqual(new Set(['cut']));
      }),
      { ...RUNS, numRuns: 200 },
    );
  });
});

test('depth is bounded, and a bounded depth costs no stack', () => {
  const nested = (depth: number): Buffer => Buffer.from('['.repeat(depth) + ']'.repeat(depth));
  expect(accepts(nested(MAX_JSON_DEPTH))).toBe(true);
  const scanner = new JsonScanner(nested(1_000_000));
  expect(scanner.skipValue()).toBe(false);
  expect(scanner.fault).toBe('too-deep');
});

test('readString decodes as JSON.parse does', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const json = JSON.stringify(text);
      expect(new JsonScanner(Buffer.from(json)).readString()).toBe(JSON.parse(json));
      const escaped = `"${[...text]
        .flatMap((char) => char.split(''))
        .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
        .join('')}"`;
      expect(new JsonScanner(Buffer.from(escaped)).readString()).toBe(text);
    }),
    RUNS,
  );
});

test('a walk yields the members of every object in order', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.jsonValue({ maxDepth: 2 })), (object) => {
      const bytes = Buffer.from(JSON.stringify(object, null, 1));
      const scanner = new JsonScanner(bytes);
      const found: [string, unknown][] = [];
      scanner.enterObject();
      while (scanner.nextMember()) {
        const key = scanner.decode(scanner.span);
        const start = scanner.pos;
        scanner.skipValue();
        found.push([key, JSON.parse(bytes.toString('utf8', start, scanner.pos))]);
      }
      expect(scanner.atEnd()).toBe(true);
      expect(found).toEqual(Object.entries(JSON.parse(bytes.toString())));
    }),
    RUNS,
  );
});

describe('KeySet', () => {
  const keys = new KeySet(['name', 'taskId', '_meta', 'uri']);

  /** What a walk reports of an object in JSON: `key=value`, or why a key was refused. */
  function walk(json: string): string[] {
    const scanner = new JsonScanner(Buffer.from(json));
    const seen: string[] = [];
    const stop = keys.walk(
      scanner,
      (key) => {
        seen.push(`${key}=${scanner.readString()}`);
        return undefined;
      },
      (why, key) => {
        seen.push(`${why} ${key}`);
        return undefined;
      },
    );
    expect(stop).toBeUndefined();
    expect(scanner.atEnd()).toBe(true);
    return seen;
  }

  test.each<[key: string, expected: string | undefined]>([
    ['"name"', 'name=1'],
    ['"taskId"', 'taskId=1'],
    ['"_meta"', '_meta=1'],
    ['"n\\u0061me"', 'name=1'],
    ['"\\u005fmeta"', '_meta=1'],
    ['"Name"', 'lax name'],
    ['"NAME"', 'lax name'],
    ['"taskid"', 'lax taskId'],
    ['"ta\u017f\u212aId"', 'lax taskId'],
    ['"ta\\u017fkId"', 'lax taskId'],
    ['"task\u0131d"', 'lax taskId'],
    ['"ur\u0130"', 'lax uri'],
    ['"name\\u0000x"', 'lax name'],
    ['"na\\ud800me"', 'lax name'],
    ['"_META"', 'lax _meta'],
    ...['""', '"names"', '"nam"', '"?meta"', '"\u007fmeta"', '"name😀"', '"n\u00e4me"', '"na me"'].map((key): [string, undefined] => [
      key,
      undefined,
    ]),
  ])('%s', (key, expected) => {
    expect(walk(`{${key}:"1"}`)).toEqual(expected === undefined ? [] : [expected]);
    expect(walk(`{"a":[{"name":"2"}], ${key} : "1", "b":{}}`)).toEqual(expected === undefined ? [] : [expected]);
  });

  test('a key that comes twice is not taken again', () => {
    expect(walk('{"name":"1","uri":"2","name":"3","n\\u0061me":{}}')).toEqual(['name=1', 'uri=2', 'twice name', 'twice name']);
  });

  test('what take or refuse returns ends the walk', () => {
    const stopped = (json: string): string | undefined =>
      keys.walk(
        new JsonScanner(Buffer.from(json)),
        () => 'taken',
        () => 'refused',
      );
    expect(stopped('{"x":1,"name":')).toBeUndefined();
    expect(stopped('{"x":1,"name":1}')).toBe('taken');
    expect(stopped('{"Name":1}')).toBe('refused');
    expect(stopped('{}')).toBeUndefined();
  });
});

test.each([
  ['read_file', false],
  ['a\u0000', true],
  ['\ud83d\ude00', false],
  ['\ud83d', true],
  ['\ude00\ud83d', true],
  ['é\ufffd', false],
])('isAmbiguousText(%j)', (text, expected) => {
  expect(isAmbiguousText(text)).toBe(expected);
});
