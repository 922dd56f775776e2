// Lines out of chunks.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLineSplitter } from './lines.ts';

function split(chunks: readonly Buffer[], maxBytes = 1000): { lines: string[]; tooLong: number } {
  const lines: string[] = [];
  let tooLong = 0;
  const take = createLineSplitter({ maxBytes, onLine: (line) => lines.push(line.toString()), onTooLong: () => (tooLong += 1) });
  for (const chunk of chunks) {
    take(chunk);
  }
  return { lines, tooLong };
}

describe('the line splitter', () => {
  it('gives the same lines however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'é', '\u{1f600}', ' ') })), fc.array(fc.nat(40)), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
        const places = [...new Set(cuts.filter((cut) => cut < bytes.length))].sort((one, other) => one - other);
        const chunks = [0, ...places].map((place, at) => bytes.subarray(place, places[at] ?? bytes.length));
        expect(split(chunks).lines).toEqual(lines.filter((line) => line !== ''));
      }),
    );
  });

  it('keeps what is not a line yet', () => {
    expect(split([Buffer.from('a'), Buffer.from('b')]).lines).toEqual([]);
  });

  it('skips a line that is too long, once, and goes on', () => {
    const chunks = ['aaa', 'aaaaaaaa', 'aaaaaa', 'a\nbb', 'b\n', `${'c'.repeat(11)}\nd\n`].map((text) => Buffer.from(text));
    expect(split(chunks, 10)).toEqual({ lines: ['bbb', 'd'], tooLong: 2 });
  });
});
