// Reads protobuf messages field by field, and only the fields that are asked for: the rest is stepped over.

const WIRE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** A position in the bytes of one message. Reading past the end throws a RangeError. */
export class ProtoReader {
  private readonly buffer: Buffer;
  private at = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  /** Calls `take` with the number of each field of the message that ends at `end`; a field that it does not read is stepped over. */
  fields(end: number, take: (field: number, reader: ProtoReader) => void): void {
    if (end > this.buffer.length) throw new RangeError('protobuf: a message is longer than its bytes');
    while (this.at < end) {
      const tag = this.varint();
      const start = this.at;
      take(tag >>> 3, this);
      if (this.at === start) this.skip(tag & 7);
    }
    this.at = end;
  }

  /** A number: exact up to 2^53. */
  varint(): number {
    let result = 0;
    let factor = 1;
    for (;;) {
      const byte = this.buffer[this.at];
      if (byte === undefined) throw new RangeError('protobuf: the bytes end in the middle of a number');
      this.at += 1;
      result += (byte & 0x7f) * factor;
      if (byte < 0x80) return result;
      factor *= 128;
    }
  }

  /** The end of a nested message, whose fields begin here. */
  nested(): number {
    const length = this.varint();
    return this.at + length;
  }

  text(): string {
    const end = this.nested();
    if (end > this.buffer.length) throw new RangeError('protobuf: a text is longer than its bytes');
    const value = this.buffer.toString('utf8', this.at, end);
    this.at = end;
    return value;
  }

  private skip(wireType: number): void {
    if (wireType === WIRE.varint) this.varint();
    else if (wireType === WIRE.bytes) this.at = this.nested();
    else if (wireType === WIRE.fixed64) this.at += 8;
    else if (wireType === WIRE.fixed32) this.at += 4;
    else throw new RangeError(`protobuf: wire type ${wireType}`);
  }
}
