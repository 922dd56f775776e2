// Log lines: one JSON object each, no secret, whatever a client has sent.

import fc from 'fast-check';
import { expect, test } from 'vitest';
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
