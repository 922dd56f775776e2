// Arbitrary texts for property tests, cheaper to set up than fast-check's own of all characters.

import fc from 'fast-check';

const isSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdfff;

const character = fc
  .oneof(fc.integer({ min: 0, max: 0xff }), fc.integer({ min: 0, max: 0x10ffff }))
  .map((code) => String.fromCodePoint(isSurrogate(code) ? 0xfffd : code));

/** Any well-formed text: control characters, ASCII, and everything beyond. */
export const anyText = (constraints: { readonly minLength?: number; readonly maxLength?: number } = {}): fc.Arbitrary<string> =>
  fc.string({ ...constraints, unit: character });
