// A pull scanner over the bytes of a JSON text: checks the whole grammar, builds no values, remembers offsets only.

/**
 * Nesting beyond this is refused. JSON.parse itself has no limit, but servers do (serde 128, Python about 1,000),
 * and no MCP message comes near.
 */
export const MAX_JSON_DEPTH = 512;

/** Why a scan stopped: the text ended early, broke the grammar of RFC 8259, or went deeper than `MAX_JSON_DEPTH`. */
export type ScanFault = 'cut' | 'syntax' | 'too-deep';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const DOT = 0x2e;
const LETTER_U = 0x75;

/** What may follow a backslash, besides `u`. */
const SHORT_ESCAPES = new Set(Buffer.from('"\\/bfnrt'));

/** The bytes of the three literals, by their first byte. */
const LITERALS = new Map(['true', 'false', 'null'].map((word) => [word.charCodeAt(0), Buffer.from(word)]));

/** A string in the text: offsets between its quotes; `escaped` and `ascii` say how it has to be decoded. */
export interface Span {
  start: number;
  end: number;
  escaped: boolean;
  ascii: boolean;
}

/**
 * Walks one JSON text. The caller pulls: `enterObject`, then `nextMember` until it is false, taking each value by
 * `skipValue`, `readString` or another `enter…`; the same with `enterArray` and `nextElement`.
 *
 * Nothing throws. The first fault stays in `fault`, and from then on every method answers false (or undefined), so
 * loops end by themselves. UTF-8 is not checked here: bytes from 0x80 on pass inside strings only.
 */
export class JsonScanner {
  readonly bytes: Buffer;
  /** Offset of the next byte to read: the start of a value after `nextMember`, its end after `skipValue`. */
  pos = 0;
  fault: ScanFault | undefined;
  /** The string that was passed last: after `nextMember` the member's key. Overwritten by the next string. */
  readonly span: Span = { start: 0, end: 0, escaped: false, ascii: true };

  /** For each open container: is it an object? */
  readonly #open: boolean[] = [];
  /** A container has been opened and nothing has been read in it. */
  #fresh = false;

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Skips white space and tells the byte that comes next, or -1 at the end of the text. */
  peekByte(): number {
    const { bytes } = this;
    let pos = this.pos;
    while (pos < bytes.length) {
      const byte = bytes[pos] as number;
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) {
        this.pos = pos;
        return byte;
      }
      pos += 1;
    }
    this.pos = pos;
    return -1;
  }

  atObject(): boolean {
    return this.fault === undefined && this.peekByte() === OPEN_BRACE;
  }

  atArray(): boolean {
    return this.fault === undefined && this.peekByte() === OPEN_BRACKET;
  }

  atString(): boolean {
    return this.fault === undefined && this.peekByte() === QUOTE;
  }

  /** Only where `atObject()` holds. */
  enterObject(): boolean {
    return this.#enter(true);
  }

  /** Only where `atArray()` holds. */
  enterArray(): boolean {
    return this.#enter(false);
  }

  /** Passes the next key (then `span`) and its colon, up to the value; false when the object has been closed. */
  nextMember(): boolean {
    if (!this.#nextItem(CLOSE_BRACE)) return false;
    if (this.bytes[this.pos] !== QUOTE) return this.#fail('syntax');
    if (!this.#string()) return false;
    if (!this.#expect(COLON)) return false;
    return this.peekByte() >= 0 || this.#fail('cut');
  }

  /** Goes to the next element; false when the array has been closed. */
  nextElement(): boolean {
    return this.#nextItem(CLOSE_BRACKET);
  }

  /** Passes one whole value, however deep, without recursion. */
  skipValue(): boolean {
    const base = this.#open.length;
    this.#passOne();
    while (this.#open.length > base && this.fault === undefined) {
      const more = this.#open.at(-1) ? this.nextMember() : this.nextElement();
      if (more) this.#passOne();
    }
    return this.fault === undefined;
  }

  /** Passes one whole value and decodes it when it is a string; undefined for every other kind and on a fault. */
  readString(): string | undefined {
    if (!this.atString()) {
      this.skipValue();
      return undefined;
    }
    return this.#string() ? this.decode(this.span) : undefined;
  }

  /** What JSON.parse would make of a string of this text. */
  decode(span: Span): string {
    const { start, end, escaped, ascii } = span;
    // The grammar of this one string has been checked, so that JSON.parse cannot throw, and its escapes are the reference.
    if (escaped) return JSON.parse(this.bytes.toString('utf8', start - 1, end + 1)) as string;
    return this.bytes.toString(ascii ? 'latin1' : 'utf8', start, end);
  }

  /** True when only white space is left. */
  atEnd(): boolean {
    return this.fault === undefined && this.peekByte() < 0;
  }

  /** A scalar is passed whole, a container is entered. */
  #passOne(): boolean {
    if (this.fault !== undefined) return false;
    const byte = this.peekByte();
    if (byte === QUOTE) return this.#string();
    if (byte === OPEN_BRACE) return this.#enter(true);
    if (byte === OPEN_BRACKET) return this.#enter(false);
    if (byte === MINUS || isDigit(byte)) return this.#number();
    if (byte < 0) return this.#fail('cut');
    return this.#literal(byte);
  }

  #enter(object: boolean): boolean {
    if (this.fault !== undefined) return false;
    if (this.#open.length === MAX_JSON_DEPTH) return this.#fail('too-deep');
    this.#open.push(object);
    this.#fresh = true;
    this.pos += 1;
    return true;
  }

  /** Between two items of a container: passes the comma and stops at the item, or passes the closing byte. */
  #nextItem(close: number): boolean {
    if (this.fault !== undefined) return false;
    const byte = this.peekByte();
    if (byte === close) {
      this.#open.pop();
      this.#fresh = false;
      this.pos += 1;
      return false;
    }
    if (this.#fresh) {
      this.#fresh = false;
      return byte >= 0 || this.#fail('cut');
    }
    if (!this.#expect(COMMA)) return false;
    const next = this.peekByte();
    if (next < 0) return this.#fail('cut');
    return next !== close || this.#fail('syntax');
  }

  #expect(byte: number): boolean {
    const found = this.peekByte();
    if (found < 0) return this.#fail('cut');
    if (found !== byte) return this.#fail('syntax');
    this.pos += 1;
    return true;
  }

  #string(): boolean {
    const { bytes, span } = this;
    const { length } = bytes;
    let pos = this.pos + 1;
    let seen = 0;
    span.start = pos;
    span.escaped = false;
    while (pos < length) {
      const byte = bytes[pos] as number;
      if (byte === QUOTE) {
        span.end = pos;
        span.ascii = seen < 0x80;
        this.pos = pos + 1;
        return true;
      }
      if (byte === BACKSLASH) {
        span.escaped = true;
        pos = this.#escape(pos);
        if (pos < 0) return false;
      } else {
        if (byte < 0x20) return this.#fail('syntax');
        seen |= byte;
        pos += 1;
      }
    }
    return this.#fail('cut');
  }

  /** The offset behind the escape that starts at `pos`, or -1 after a fault. */
  #escape(pos: number): number {
    const { bytes } = this;
    if (pos + 1 >= bytes.length) return this.#failAt('cut');
    const kind = bytes[pos + 1] as number;
    if (SHORT_ESCAPES.has(kind)) return pos + 2;
    if (kind !== LETTER_U) return this.#failAt('syntax');
    for (let index = pos + 2; index < pos + 6; index += 1) {
      if (index >= bytes.length) return this.#failAt('cut');
      if (!isHexDigit(bytes[index] as number)) return this.#failAt('syntax');
    }
    return pos + 6;
  }

  #number(): boolean {
    const { bytes } = this;
    let pos = this.pos;
    if (bytes[pos] === MINUS) pos += 1;
    const integer = pos;
    pos = this.#digits(pos);
    if (pos < 0) return false;
    if (bytes[integer] === 0x30 && pos > integer + 1) return this.#fail('syntax');
    if (bytes[pos] === DOT) {
      pos = this.#digits(pos + 1);
      if (pos < 0) return false;
    }
    if (((bytes[pos] ?? 0) | 0x20) === 0x65) {
      const sign = bytes[pos + 1];
      pos = this.#digits(sign === MINUS || sign === 0x2b ? pos + 2 : pos + 1);
      if (pos < 0) return false;
    }
    // Inside a container more digits may follow in a text that was cut here, so the number is not known.
    if (pos === bytes.length && this.#open.length > 0) return this.#fail('cut');
    this.pos = pos;
    return true;
  }

  /** The offset behind one or more digits, or -1 after a fault. */
  #digits(from: number): number {
    const { bytes } = this;
    let pos = from;
    while (pos < bytes.length && isDigit(bytes[pos] as number)) pos += 1;
    if (pos > from) return pos;
    return this.#failAt(pos >= bytes.length ? 'cut' : 'syntax');
  }

  #literal(first: number): boolean {
    const word = LITERALS.get(first);
    if (word === undefined) return this.#fail('syntax');
    for (const byte of word) {
      if (this.pos >= this.bytes.length) return this.#fail('cut');
      if (this.bytes[this.pos] !== byte) return this.#fail('syntax');
      this.pos += 1;
    }
    return true;
  }

  #fail(fault: ScanFault): false {
    this.fault ??= fault;
    return false;
  }

  #failAt(fault: ScanFault): -1 {
    this.fault ??= fault;
    return -1;
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isHexDigit(byte: number): boolean {
  const lower = byte | 0x20;
  return isDigit(byte) || (lower >= 0x61 && lower <= 0x66);
}
