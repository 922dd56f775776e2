// Log lines: one JSON object each, no secret, whatever a client has sent.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyText } from '../../test/fakes/texts.ts';
import { createLogger, createRequestLines } from './logger.ts';

function world(level = 'info') {
  const written: string[] = [];
  const stream = { write: (line: string) => void written.push(line) };
  return { written, stream, options: { level, process: 'sidecar-0', stream } };
}

test('fields that may hold a secret are not written', () => {
  const { written, options } = world();
  createLogger(options).info(
    { authorization: 'S3', cookie: 'S3', token: 'S3', headers: { authorization: 'S3', cookie: 'S3' }, a: { token: 'S3' } },
    'x',
  );
  expect(written.join('')).not.toContain('S3');
  expect(JSON.parse(written[0] ?? '')).toMatchObject({ process: 'sidecar-0', msg: 'x' });
});

describe('an error', () => {
  const logged = (fields: object) => {
    const { written, options } = world();
    createLogger(options).warn(fields, 'x');
    return { text: written.join(''), err: JSON.parse(written[0] ?? '').err };
  };
  class ReplyError extends Error {}
  const laden = (message: string, cause?: unknown) =>
    Object.assign(new ReplyError(message, { cause }), {
      code: 'EFAILED',
      command: { name: 'evalsha', args: ['S3', 'S3'] },
      args: ['S3'],
      headers: { 'x-api-key': 'S3' },
      config: 'S3',
    });

  test('is its type, message, stack and code, not what a library has hung on it; its cause, too', () => {
    const error = laden('refused', laden('in between', new TypeError('first')));
    const { text, err } = logged({ err: error });
    expect(text).not.toContain('S3');
    const cause = error.cause as Error;
    const stackOf = ({ stack }: Error) => stack;
    expect(err).toEqual({
      ...{ type: 'ReplyError', message: 'refused', code: 'EFAILED', stack: error.stack },
      cause: {
        ...{ type: 'ReplyError', message: 'in between', code: 'EFAILED', stack: cause.stack },
        cause: { type: 'TypeError', message: 'first', stack: stackOf(cause.cause as Error) },
      },
    });
  });

  test('that is the line itself is written in the same way', () => {
    const { text, err } = logged(laden('refused'));
    expect(text).not.toContain('S3');
    expect(err).toMatchObject({ type: 'ReplyError', message: 'refused' });
  });

  test('that is its own cause ends somewhere', () => {
    const error = laden('round');
    error.cause = error;
    expect(logged({ err: error }).text.match(/"message":"round"/g)).toHaveLength(5);
  });

  test.each([
    ['a text', { type: 'string', message: 'a text' }],
    [null, { type: 'object', message: 'null' }],
    [undefined, undefined],
    [
      { token: 'S3', other: 'S3' },
      { type: 'Object', message: '' },
    ],
    [Object.create(null), { type: 'object', message: '' }],
  ])('that is none: %j', (thrown, expected) => {
    expect(logged({ err: thrown }).err).toEqual(expected);
  });
});

test('a request line is one line of JSON in pino’s format', () => {
  fc.assert(
    fc.property(anyText(), (tool) => {
      const { written, options } = world();
      createRequestLines(options)([{ tool, n: 1 }]);
      expect(written).toHaveLength(1);
      expect(written[0]?.match(/\n/g)).toHaveLength(1);
      expect(JSON.parse(written[0] ?? '')).toMatchObject({
        level: 30,
        time: expect.any(Number),
        process: 'sidecar-0',
        msg: 'request',
        tool,
        n: 1,
      });
    }),
    { seed: 20260728, numRuns: 100 },
  );
});

test.each([
  ['debug', 1],
  ['info', 1],
  ['warn', 0],
  ['silent', 0],
])('at level %s: %i lines', (level, count) => {
  const { written, options } = world(level);
  createRequestLines(options)([{ a: 1 }]);
  createLogger(options).info('x');
  expect(written).toHaveLength(count * 2);
});
