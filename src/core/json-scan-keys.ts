// Which of the keys that matter a JSON key is: exactly, or only to a parser that is laxer than JSON.parse.

import type { JsonScanner } from './json-scan.ts';

/** The key is none of the set's, to any parser. */
export const NO_KEY = -1;

/** Added to an index: the key is not this one, but some parsers would take it for this one. */
export const LAX = 0x100;

/**
 * A fixed set of keys. `match` answers the index of the key in `scanner.span`, or `LAX` + index when only a laxer
 * parser would read that key: Go's encoding/json folds case (with ſ for s and K, the Kelvin sign, for k), Java's
 * equalsIgnoreCase also takes ı and İ for i, C strings end at U+0000, and some decoders drop lone surrogates.
 * Such a key can hide a tool name from the gateway and show it to the server.
 */
export class KeySet {
  readonly #names: readonly string[];
  readonly #folded: readonly string[];

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#folded = names.map((name) => name.toLowerCase());
  }

  match(scanner: JsonScanner): number {
    const { span, bytes } = scanner;
    if (span.escaped || !span.ascii) return this.#matchDecoded(scanner.decode(span));
    const length = span.end - span.start;
    for (let index = 0; index < this.#names.length; index += 1) {
      const name = this.#names[index] as string;
      if (name.length !== length) continue;
      const folded = this.#folded[index] as string;
      let exact = true;
      let at = 0;
      for (; at < length; at += 1) {
        const byte = bytes[span.start + at] as number;
        if (byte === name.charCodeAt(at)) continue;
        exact = false;
        if (asciiLower(byte) !== folded.charCodeAt(at)) break;
      }
      if (at === length) return exact ? index : LAX + index;
    }
    return NO_KEY;
  }

  #matchDecoded(key: string): number {
    const exact = this.#names.indexOf(key);
    if (exact >= 0) return exact;
    const lax = this.#folded.indexOf(laxly(key));
    return lax < 0 ? NO_KEY : LAX + lax;
  }
}

/** U+0000 or a lone surrogate: parsers disagree about what such a string says. */
export function isAmbiguousText(text: string): boolean {
  for (const char of text) {
    const point = char.codePointAt(0) as number;
    if (point === 0 || isLoneSurrogate(point)) return true;
  }
  return false;
}

/** The key as the laxest of parsers would read it. */
function laxly(key: string): string {
  let lax = '';
  for (const char of key) {
    const point = char.codePointAt(0) as number;
    if (point === 0) break;
    if (point === 0x17f) lax += 's';
    else if (point === 0x212a) lax += 'k';
    else if (point === 0x130 || point === 0x131) lax += 'i';
    else if (!isLoneSurrogate(point)) lax += point < 0x80 ? String.fromCharCode(asciiLower(point)) : char;
  }
  return lax;
}

function asciiLower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/** Iterating a string joins the halves of a pair, so that a surrogate that is left stands alone. */
function isLoneSurrogate(point: number): boolean {
  return point >= 0xd800 && point <= 0xdfff;
}
