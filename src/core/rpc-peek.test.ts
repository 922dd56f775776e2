// The peek sees the method, name and id that JSON.parse sees, or gives a reason to refuse.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_JSON_DEPTH } from './json-scan.ts';
import { MAX_BATCH, type Peek, PROTOCOL_VERSION_KEY, peek, type RpcFields, type RpcMessage } from './rpc-peek.ts';
import { isReplayable, subjectField } from './rpc-peek-methods.ts';

const RUNS = { seed: 20260728, numRuns: 400 };

function read(text: string | Buffer): Peek {
  return peek(Buffer.from(text), { complete: true });
}

function single(text: string): RpcMessage {
  const result = read(text);
  if (result.kind !== 'single') throw new Error(`${text}: ${JSON.stringify(result)}`);
  return result.message;
}

function reason(text: string | Buffer): string {
  const result = read(text);
  return result.kind === 'invalid' ? result.reason : result.kind;
}

describe('a message', () => {
  test('a tool call', () => {
    const text = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params": {"name":"echo","arguments":{"name":"x"}} }';
    const message = single(text);
    expect(message).toEqual({
      type: 'request',
      id: '7',
      idValue: 7,
      method: 'tools/call',
      name: 'echo',
      uri: undefined,
      taskId: undefined,
      level: undefined,
      protocolVersion: undefined,
      traceparent: undefined,
      paramsRange: [text.indexOf('{"name"'), text.lastIndexOf('}') - 1],
    });
    expect(text.slice(...(message.paramsRange as [number, number]))).toBe('{"name":"echo","arguments":{"name":"x"}}');
  });

  test('the fields of params', () => {
    const params = { uri: 'file:///a', taskId: 't', level: 'debug', _meta: { progressToken: 1, [PROTOCOL_VERSION_KEY]: '2026-07-28' } };
    const message = single(JSON.stringify({ method: 'x', params }));
    expect(message).toMatchObject({ uri: 'file:///a', taskId: 't', level: 'debug', protocolVersion: '2026-07-28', name: undefined });
  });

  test('the trace that a message belongs to', () => {
    const inMeta = (meta: string): string | undefined => single(`{"method":"x","params":{"_meta":{${meta}}}}`).traceparent;
    expect(inMeta('"traceparent":"00-a-b-01","progressToken":1')).toBe('00-a-b-01');
    expect(inMeta('"trac\\u0065parent":"\\u0000"')).toBe('\0');
    expect(inMeta('"traceparent":1')).toBeUndefined();
    // Nothing is decided by it: what parsers disagree about is not known, and no reason to refuse.
    expect(inMeta('"traceparent":"a","traceparent":"b"')).toBeUndefined();
    expect(inMeta('"traceparent":"a","traceparent":"b","traceparent":"c"')).toBeUndefined();
    expect(inMeta('"Traceparent":"a"')).toBeUndefined();
    expect(inMeta('"traceparent":"a","TRACEPARENT":"b"')).toBe('a');
    expect(
      single('{"method":"x","traceparent":"a","params":{"traceparent":"b","arguments":{"_meta":{"traceparent":"c"}}}}').traceparent,
    ).toBeUndefined();
  });

  test.each([
    ['{"method":"a","id":1}', 'request'],
    ['{"method":"a","id":null}', 'request'],
    ['{"method":"a","id":[1]}', 'request'],
    ['{"method":"a","id":1,"result":{}}', 'request'],
    ['{"method":"a"}', 'notification'],
    ['{"id":1,"result":null}', 'response'],
    ['{"id":1,"error":{}}', 'response'],
    ['{"id":1}', 'malformed'],
    ['{}', 'malformed'],
    ['{"id":1,"method":["tools/call"]}', 'malformed'],
    ['{"id":1,"method":null,"result":{}}', 'malformed'],
  ])('%s is a %s', (text, type) => {
    expect(single(text).type).toBe(type);
  });

  test.each([
    ['1', 1],
    ['-0', -0],
    ['1.50', 1.5],
    ['1e400', Number.POSITIVE_INFINITY],
    ['9007199254740993', 9007199254740992],
    ['"9007199254740993"', '9007199254740993'],
    ['"\\u0061\\ud800"', 'a\ud800'],
    ['"é"', 'é'],
    ['""', ''],
  ])('the id %s is kept as it is written', (raw, value) => {
    expect(single(`{"id": ${raw} ,"method":"ping"}`)).toMatchObject({ id: raw, idValue: value });
  });

  test.each(['null', 'true', '{}', '[1]'])('the id %s reads as null', (raw) => {
    expect(single(`{"id":${raw},"method":"ping"}`)).toMatchObject({ id: 'null', idValue: undefined });
  });

  test('fields of another type are not there', () => {
    const params = { name: 1, uri: null, taskId: ['t'], level: {}, _meta: { [PROTOCOL_VERSION_KEY]: 2 } };
    expect(single(JSON.stringify({ method: 'x', params }))).toMatchObject({
      name: undefined,
      uri: undefined,
      taskId: undefined,
      level: undefined,
      protocolVersion: undefined,
    });
    for (const params of [null, 'name', [{ name: 'x' }], 1]) {
      expect(single(JSON.stringify({ method: 'x', params })).name).toBeUndefined();
    }
  });

  test('names deeper down or on top are not params.name', () => {
    expect(single('{"method":"tools/call","name":"a","params":{"arguments":{"name":"b"},"_meta":{"name":"c"}}}').name).toBeUndefined();
  });
});

describe('what is refused', () => {
  const call = (params: string): string => `{"method":"tools/call","id":1,"params":${params}}`;
  test.each([
    ['', 'empty'],
    [' \n', 'empty'],
    ['[]', 'empty'],
    ['"x"', 'not-an-object'],
    ['12', 'not-an-object'],
    ['null ', 'not-an-object'],
    ['[1]', 'not-an-object'],
    ['[{"method":"a"},[]]', 'not-an-object'],
    ['{"method":"a"} x', 'parse-error'],
    ['{"method":"a"}{}', 'parse-error'],
    ['{"method":"a"', 'parse-error'],
    ['tru', 'parse-error'],
    ['\ufeff{"method":"a"}', 'parse-error'],
    ['{"method":"a"}\0', 'parse-error'],
    ['{"method":"a\0"}', 'parse-error'],
    ['{"method":"a","method":"b"}', 'duplicate-key'],
    ['{"method":"a","m\\u0065thod":"b"}', 'duplicate-key'],
    ['{"id":1,"id":1}', 'duplicate-key'],
    ['{"jsonrpc":"2.0","jsonrpc":"2.0"}', 'duplicate-key'],
    ['{"params":{},"params":{}}', 'duplicate-key'],
    ['{"result":{},"result":{}}', 'duplicate-key'],
    ['{"error":1,"error":2}', 'duplicate-key'],
    [call('{"name":"a","name":"b"}'), 'duplicate-key'],
    [call('{"name":"a","\\u006eame":"b"}'), 'duplicate-key'],
    [call('{"name":1,"name":"b"}'), 'duplicate-key'],
    [call('{"_meta":{},"_meta":{}}'), 'duplicate-key'],
    [call(`{"_meta":{"${PROTOCOL_VERSION_KEY}":"a","${PROTOCOL_VERSION_KEY}":"b"}}`), 'duplicate-key'],
    ['{"Method":"a"}', 'ambiguous-key'],
    ['{"ID":1,"method":"a"}', 'ambiguous-key'],
    ['{"\u0131d":1,"method":"a"}', 'ambiguous-key'],
    ['{"re\u017fult":1}', 'ambiguous-key'],
    ['{"method\\u0000":"a"}', 'ambiguous-key'],
    [call('{"Name":"a"}'), 'ambiguous-key'],
    [call('{"name":"a","NAME":"b"}'), 'ambiguous-key'],
    [call('{"_Meta":{}}'), 'ambiguous-key'],
    ['{"params":{"Name":"a"},"method":"tools/call"}', 'ambiguous-key'],
    ['{"params":{"URI":"a"},"method":"resources/read"}', 'ambiguous-key'],
    ['{"params":{"ta\u017f\u212aId":"a"},"method":"tasks/get"}', 'ambiguous-key'],
    [call(`{"_meta":{"${PROTOCOL_VERSION_KEY.toUpperCase()}":"a"}}`), 'ambiguous-key'],
    ['{"method":"tools/call\\u0000"}', 'ambiguous-value'],
    [call('{"name":"a\\ud800"}'), 'ambiguous-value'],
    [call('{"uri":"\\udc00"}'), 'ambiguous-value'],
  ])('%j: %s', (text, expected) => {
    expect(reason(text)).toBe(expected);
  });

  test.each([
    '{"method":"tools/call","params":{"name":"a","arguments":{"Name":"b","name":"c","name":"d"}}}',
    '{"method":"acme/do","params":{"Name":"b"}}',
    '{"method":"tools/call","params":{"name":"a","URI":"b","Level":1}}',
    '{"method":"tools/call","params":{"name":"a","x":1,"x":2}}',
    '{"id":1,"result":{"Method":"a","name":"b","name":"c"}}',
    '{"method":"tools/call","params":{"name":"\\ud83d\\ude00","arguments":{"x":"\\ud800\\u0000"}}}',
    '{"method":"a","extra":1,"extra":2}',
  ])('but not %s', (text) => {
    expect(read(text).kind).toBe('single');
  });

  test('bytes that are not UTF-8', () => {
    const around = (bytes: number[]): Buffer => Buffer.concat([Buffer.from('{"method":"'), Buffer.from(bytes), Buffer.from('"}')]);
    for (const bytes of [[0xff], [0x80], [0xc0, 0xa2], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]]) {
      expect(reason(around(bytes))).toBe('parse-error');
    }
    expect(read(around([0xe2, 0x82, 0xac])).kind).toBe('single');
    const text = '{"method":"ping"}';
    expect(reason(Buffer.from(text, 'utf16le'))).toBe('parse-error');
    expect(reason(Buffer.from(`\ufeff${text}`, 'utf16le'))).toBe('parse-error');
    expect(reason(Buffer.from(text, 'utf16le').swap16())).toBe('parse-error');
  });

  test('nesting', () => {
    const nested = (depth: number): string => `{"method":"a","params":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    expect(reason(nested(MAX_JSON_DEPTH - 1))).toBe('single');
    expect(reason(nested(MAX_JSON_DEPTH))).toBe('too-deep');
    expect(reason('['.repeat(100_000))).toBe('not-an-object');
  });
});

test('no body takes more than linear time', () => {
  const repeated = (piece: string): string => Array(100_000).fill(piece).join();
  expect(reason(`{"method":"tools/call","params":{${repeated('"NAME":1')}}}`)).toBe('ambiguous-key');
  expect(reason(`{"method":"acme/x","params":{${repeated('"NAME":1')}}}`)).toBe('single');
  expect(reason(`{"method":"a","params":{${repeated('"\\u006eam":"\\u0000"')}}}`)).toBe('single');
  expect(reason(`{"method":"a","params":[${repeated('[[],{}]')}]}`)).toBe('single');
  expect(reason(`{"method":"a${'\\n'.repeat(500_000)}"}`)).toBe('single');
});

describe('a batch', () => {
  const element = '{"method":"ping","id":1}';
  test('its messages, and whether initialize is among them', () => {
    expect(read(`[${element}, {"method":"tools/call","params":{"name":"x"}}]`)).toMatchObject({
      kind: 'batch',
      initializeInBatch: false,
      messages: [{ method: 'ping' }, { method: 'tools/call', name: 'x', type: 'notification' }],
    });
    expect(read(`[${element},{"method":"initialize"}]`)).toMatchObject({ initializeInBatch: true });
  });
  test('the limit', () => {
    expect(read(`[${Array(MAX_BATCH).fill(element).join()}]`)).toMatchObject({ kind: 'batch' });
    expect(
      reason(
        `[${Array(MAX_BATCH + 1)
          .fill(element)
          .join()}]`,
      ),
    ).toBe('batch-too-large');
  });
  test('keys are unique in each element, not among them', () => {
    expect(reason(`[${element},{"id":1,"id":2}]`)).toBe('duplicate-key');
  });
});

// ---- properties -------------------------------------------------------------------------------------------------

/** Writes a value as JSON with its own choice of escapes and white space, the keys in the order they have. */
function write(value: unknown, random: () => number): string {
  const space = (): string => ['', '', ' ', '\n\t'][random() % 4] as string;
  const quoted = (text: string): string => {
    const units = text.split('').map((unit) => {
      if (random() % 3 === 0) return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
      return unit === '/' && random() % 2 === 0 ? '\\/' : undefined;
    });
    return `"${units.map((unit, index) => unit ?? plain(text, index, units)).join('')}"`;
  };
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map((item) => space() + write(item, random) + space()).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value).map(
      ([key, item]) => `${space()}${quoted(key)}${space()}:${space()}${write(item, random)}${space()}`,
    );
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value);
}

/** One code unit as JSON.stringify writes it; half a pair whose other half is escaped is escaped too. */
function plain(text: string, index: number, escapes: readonly (string | undefined)[]): string {
  const unit = text.charCodeAt(index);
  const high = unit >= 0xd800 && unit <= 0xdbff;
  const low = unit >= 0xdc00 && unit <= 0xdfff;
  const paired = (high && escapes[index + 1] === undefined) || (low && escapes[index - 1] === undefined);
  if ((high || low) && paired) return text.charAt(index);
  if (high || low) return `\\u${unit.toString(16)}`;
  return JSON.stringify(text.charAt(index)).slice(1, -1);
}

const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: fc.constantFrom(...'a"\\/é😀\n_*') }));
const noise = fc.dictionary(
  text.filter(
    (key) =>
      !/[\0\u0130\u0131\u017f\u212a]/.test(key) && !/^(method|params|id|result|error|jsonrpc|name|uri|taskid|level|_meta)$/i.test(key),
  ),
  fc.jsonValue({ maxDepth: 2 }),
  { maxKeys: 3 },
);
const safeText = text.filter((value) => !value.includes('\0'));
const params = fc
  .tuple(
    fc.record(
      {
        name: fc.oneof(safeText, fc.integer()),
        uri: safeText,
        taskId: safeText,
        level: safeText,
        arguments: fc.jsonValue({ maxDepth: 3 }),
        _meta: fc.oneof(
          noise,
          fc.record({ [PROTOCOL_VERSION_KEY]: safeText, traceparent: fc.oneof(text, fc.integer()), progressToken: fc.integer() }),
        ),
      },
      { requiredKeys: [] },
    ),
    noise,
  )
  .map(([known, more]) => ({ ...more, ...known }));
const id = fc.oneof(text, fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant(null));
const message = fc
  .tuple(
    fc.record(
      {
        jsonrpc: fc.constant('2.0'),
        method: fc.oneof(safeText, fc.constantFrom('tools/call', 'initialize')),
        params: fc.oneof(params, fc.jsonValue()),
        id,
        result: fc.jsonValue(),
      },
      { requiredKeys: [] },
    ),
    noise,
    fc.infiniteStream(fc.nat()),
  )
  .chain(([known, more, stream]) =>
    fc.shuffledSubarray(Object.entries({ ...more, ...known }), { minLength: Object.keys({ ...more, ...known }).length }).map((entries) => {
      const value = Object.fromEntries(entries);
      return { value, json: write(value, () => stream.next().value) };
    }),
  );

/** What JSON.parse sees of a message, as `RpcFields`, with the id as a value. */
function seen(json: string): Partial<RpcFields> {
  const value = JSON.parse(json);
  const params = value.params !== null && typeof value.params === 'object' && !Array.isArray(value.params) ? value.params : {};
  const meta = params._meta !== null && typeof params._meta === 'object' && !Array.isArray(params._meta) ? params._meta : {};
  const string = (field: unknown): string | undefined => (typeof field === 'string' ? field : undefined);
  return {
    idValue: typeof value.id === 'string' || typeof value.id === 'number' ? value.id : undefined,
    method: string(value.method),
    name: string(params.name),
    uri: string(params.uri),
    taskId: string(params.taskId),
    level: string(params.level),
    protocolVersion: string(meta[PROTOCOL_VERSION_KEY]),
    traceparent: string(meta['traceparent']),
  };
}

describe('it agrees with JSON.parse', () => {
  test('on every message, however it is written', () => {
    fc.assert(
      fc.property(message, ({ json }) => {
        const found = single(json);
        expect(found).toMatchObject(seen(json));
        if (found.id !== undefined) expect(JSON.parse(found.id)).toBe(JSON.parse(json).id);
        else expect('id' in JSON.parse(json)).toBe(false);
        if (found.paramsRange === undefined) expect('params' in JSON.parse(json)).toBe(false);
        else {
          const raw = Buffer.from(json)
            .subarray(...found.paramsRange)
            .toString();
          expect(JSON.parse(raw)).toEqual(JSON.parse(json).params);
        }
      }),
      RUNS,
    );
  });

  test('on every batch', () => {
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 5 }), (elements) => {
        const result = read(`[${elements.map(({ json }) => json).join(' , ')}]`);
        expect(result).toMatchObject({ kind: 'batch', messages: elements.map(({ json }) => seen(json)) });
      }),
      { ...RUNS, numRuns: 200 },
    );
  });

  test('on what is not JSON any more after one byte has changed', () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.nat({ max: 255 }), ({ json }, at, byte) => {
        const bytes = Buffer.from(json);
        bytes[at % bytes.length] = byte;
        const result = peek(bytes, { complete: true });
        let value: string;
        try {
          value = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
          JSON.parse(value);
        } catch {
          expect(result).toMatchObject({ kind: 'invalid', reason: 'parse-error' });
          return;
        }
        if (result.kind === 'single') expect(result.message).toMatchObject(seen(value));
        else expect(result).toMatchObject({ kind: 'invalid', reason: expect.stringMatching(/^(duplicate|ambiguous)-/) });
      }),
      RUNS,
    );
  });

  test('on any bytes at all: an answer, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (bytes, complete) => {
        expect(['single', 'batch', 'incomplete', 'invalid']).toContain(peek(bytes, { complete }).kind);
      }),
      RUNS,
    );
  });
});

describe('a text that was cut', () => {
  test('claims nothing that the whole text contradicts', () => {
    fc.assert(
      fc.property(message, ({ json }) => {
        const whole = Buffer.from(`${json} `);
        const facts = { ...single(json) };
        for (let end = 0; end <= whole.length; end += 1) {
          const result = peek(whole.subarray(0, end), { complete: false });
          if (result.kind === 'single') expect(result.message).toEqual(facts);
          else if (result.kind === 'incomplete') {
            const wrong = Object.entries(result.message ?? {}).filter(
              ([key, value]) => value !== undefined && value !== facts[key as keyof RpcFields],
            );
            if (wrong.length > 0) expect(wrong).toEqual([]);
          } else expect(result.kind).toBe('incomplete');
        }
      }),
      { ...RUNS, numRuns: 60 },
    );
  });

  test('says what is certain', () => {
    const at = (text: string): Peek => peek(Buffer.from(text), { complete: false });
    expect(at('{"method":"tools/call","id":12')).toMatchObject({ kind: 'incomplete', message: { method: 'tools/call', id: undefined } });
    expect(at('{"id":12,"method":"tools/ca')).toMatchObject({ message: { method: undefined, id: '12' } });
    expect(at('{"method":"tools/call","params":{"name":"a","arguments":{"x":"')).toMatchObject({ message: { name: 'a' } });
    expect(at('[{"method":"ping"},')).toEqual({ kind: 'incomplete', batch: true, message: undefined });
    expect(at('')).toEqual({ kind: 'incomplete', batch: false, message: undefined });
    expect(at('{"method":"p"} ')).toMatchObject({ kind: 'single' });
  });

  test('refuses what no continuation can mend', () => {
    for (const text of ['{"id":1,"id":2', '{"Method":1', '{"a" 1', '[1,', 'x', '{"method":"a\\u0000"', '{}{']) {
      expect(peek(Buffer.from(text), { complete: false }).kind).toBe('invalid');
    }
  });

  test('a character cut in half is not an error, a broken one is', () => {
    const bytes = Buffer.from('{"method":"a","x":"😀');
    for (let cut = 1; cut <= 3; cut += 1) {
      expect(peek(bytes.subarray(0, bytes.length - cut), { complete: false })).toMatchObject({
        kind: 'incomplete',
        message: { method: 'a' },
      });
    }
    expect(peek(Buffer.from([0x7b, 0x22, 0xff, 0x20]), { complete: false })).toMatchObject({ reason: 'parse-error' });
  });
});

test('the methods', () => {
  expect(isReplayable('ping') && isReplayable('server/discover') && isReplayable('prompts/list')).toBe(true);
  expect(isReplayable('tools/call') || isReplayable('resources/read')).toBe(false);
  expect(subjectField('tools/call')).toBe('name');
  expect(subjectField('constructor')).toBeUndefined();
});
