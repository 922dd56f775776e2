// The keys of a JSON object that matter: found however they are written, refused where parsers could disagree about them.

import type { JsonScanner } from './json-scan.ts';

/** Added to an index: the key is not this one, but a laxer parser would take it for this one. */
const LAX = 0x100;
const NO_KEY = -1;

/**
 * The keys of an object that matter, at most 31. A key that only looks like one of them is `lax`: Go's encoding/json
 * folds case (with ſ for s and K, the Kelvin sign, for k), Java's equalsIgnoreCase also takes ı and İ for i, C strings
 * end at U+0000, and some decoders drop lone surrogates. Such a key can hide a tool name from the gateway and show it
 * to the server.
 */
export class KeySet<const Name extends string> {
  readonly #names: readonly Name[];
  readonly #folded: readonly string[];

  constructor(names: readonly Name[]) {
    this.#names = names;
    this.#folded = names.map((name) => name.toLowerCase());
  }

  /**
   * Walks the object that `scanner` is at. `take` gets each key that matters, once, and passes its value. `refuse` gets
   * a key that comes `twice`, or is `lax`. What either of them returns ends the walk, and is returned; undefined goes on.
   */
  walk<Stop>(
    scanner: JsonScanner,
    take: (key: Name) => Stop | undefined,
    refuse: (why: 'twice' | 'lax', key: Name) => Stop | undefined,
  ): Stop | undefined {
    let seen = 0;
    scanner.enterObject();
    while (scanner.nextMember()) {
      const match = this.#match(scanner);
      if (match === NO_KEY) {
        scanner.skipValue();
        continue;
      }
      const key = this.#names[match % LAX] as Name;
      const why = match >= LAX ? 'lax' : (seen & (1 << match)) !== 0 ? 'twice' : undefined;
      if (why === undefined) seen |= 1 << match;
      const stop = why === undefined ? take(key) : refuse(why, key);
      if (stop !== undefined) return stop;
      if (why !== undefined) scanner.skipValue();
    }
    return undefined;
  }

  /** The index of the key in `scanner.span`, `LAX` + index, or `NO_KEY`. */
  #match(scanner: JsonScanner): number {
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
    const exact = (this.#names as readonly string[]).indexOf(key);
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
