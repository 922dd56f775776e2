// Writes protobuf messages into one growing buffer: the few wire types that a Check's answer is made of.

const INITIAL_BYTES = 8_192;
/** A nested message's length is written after its content, into four bytes kept free: a varint may be longer than it must be. */
const LENGTH_BYTES = 4;

/** One writer serves one message after the other; `finish` copies the bytes out. */
export class ProtoWriter {
  private buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  private at = 0;

  /** A varint field; `value` below 2^31. */
  int(field: number, value: number): void {
    this.ensure(12);
    this.key(field, 0);
    this.varint(value);
  }

  /** A double field. */
  double(field: number, value: number): void {
    this.ensure(14);
    this.key(field, 1);
    this.at = this.buffer.writeDoubleLE(value, this.at);
  }

  /** A string field, UTF-8. */
  text(field: number, value: string): void {
    const bytes = Buffer.byteLength(value);
    this.ensure(12 + bytes);
    this.key(field, 2);
    this.varint(bytes);
    this.at += this.buffer.write(value, this.at, bytes === value.length ? 'latin1' : 'utf8');
  }

  /** A bytes field. */
  bytes(field: number, value: Uint8Array): void {
    this.ensure(12 + value.length);
    this.key(field, 2);
    this.varint(value.length);
    this.buffer.set(value, this.at);
    this.at += value.length;
  }

  /** Fields that were written before, by this writer or another. */
  raw(encoded: Buffer): void {
    this.ensure(encoded.length);
    this.at += encoded.copy(this.buffer, this.at);
  }

  /** A position for `since`. */
  mark(): number {
    return this.at;
  }

  /** A copy of what was written after `mark`. */
  since(mark: number): Buffer {
    return Buffer.from(this.buffer.subarray(mark, this.at));
  }

  /** Begins a nested message; what `end` is given. */
  begin(field: number): number {
    this.ensure(6 + LENGTH_BYTES);
    this.key(field, 2);
    this.at += LENGTH_BYTES;
    return this.at;
  }

  end(start: number): void {
    const length = this.at - start;
    const { buffer } = this;
    buffer[start - 4] = (length & 0x7f) | 0x80;
    buffer[start - 3] = ((length >>> 7) & 0x7f) | 0x80;
    buffer[start - 2] = ((length >>> 14) & 0x7f) | 0x80;
    buffer[start - 1] = (length >>> 21) & 0x7f;
  }

  /** Forgets what was written and not finished. */
  clear(): void {
    this.at = 0;
  }

  /** The bytes written since the last call. */
  finish(): Buffer {
    const written = Buffer.from(this.buffer.subarray(0, this.at));
    this.at = 0;
    if (this.buffer.length > 64 * INITIAL_BYTES) this.buffer = Buffer.allocUnsafe(INITIAL_BYTES);
    return written;
  }

  private key(field: number, wireType: number): void {
    this.varint((field << 3) | wireType);
  }

  private varint(value: number): void {
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.buffer[this.at] = (rest & 0x7f) | 0x80;
      this.at += 1;
      rest >>>= 7;
    }
    this.buffer[this.at] = rest;
    this.at += 1;
  }

  private ensure(more: number): void {
    if (this.at + more <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + more));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }
}
