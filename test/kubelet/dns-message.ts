// Questions and answers of the Domain Name System (RFC 1035), as far as pods need them to find Services.

const HEADER_BYTES = 12;
const TYPE_A = 1;
const CLASS_IN = 1;
/** An answer, authoritative; and the error codes. */
const RESPONSE = 0x8400;
const NAME_ERROR = 3;
/** The question's name, which begins after the header. */
const SAME_NAME = 0xc000 | HEADER_BYTES;
const TTL_SECONDS = 5;

export interface Question {
  readonly id: number;
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly isAddress: boolean;
  /** As it was asked: an answer repeats it. */
  readonly bytes: Buffer;
}

/** @returns `undefined` for what is no question */
export function readQuestion(message: Buffer): Question | undefined {
  const labels: string[] = [];
  let offset = HEADER_BYTES;
  for (let length = message[offset]; length !== 0; length = message[offset]) {
    if (length === undefined || length > 63) return undefined;
    labels.push(message.toString('latin1', offset + 1, offset + 1 + length));
    offset += 1 + length;
  }
  const end = offset + 5;
  if (message.length < end) return undefined;
  return {
    id: message.readUInt16BE(0),
    name: labels.join('.').toLowerCase(),
    isAddress: message.readUInt16BE(offset + 1) === TYPE_A,
    bytes: message.subarray(HEADER_BYTES, end),
  };
}

/** @param addresses of IPv4; `undefined`: there is no such name */
export function writeAnswer({ id, bytes, isAddress }: Question, addresses: readonly string[] | undefined): Buffer {
  const records = isAddress ? (addresses ?? []) : [];
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(addresses === undefined ? RESPONSE | NAME_ERROR : RESPONSE, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, bytes, ...records.map(record)]);
}

function record(address: string): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16BE(SAME_NAME, 0);
  bytes.writeUInt16BE(TYPE_A, 2);
  bytes.writeUInt16BE(CLASS_IN, 4);
  bytes.writeUInt32BE(TTL_SECONDS, 6);
  bytes.writeUInt16BE(4, 10);
  Buffer.from(address.split('.').map(Number)).copy(bytes, 12);
  return bytes;
}
