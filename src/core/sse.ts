// Server-sent events as bytes (WHATWG HTML, section 9.2): data changed in place in a whole text.

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
const NEW_LINE = Buffer.from('\n');
/** The type of an event that names none: the only one in which MCP clients look for messages. */
const DEFAULT_TYPE = 'message';

/** `[start, end)` is the line, `[end, next)` its ending: CR, LF, CRLF, or nothing where the bytes end. */
interface Line {
  readonly start: number;
  readonly end: number;
  readonly next: number;
}

/**
 * Hands the data of each event (its lines joined by LF) and the event's type to `change`, in order, and puts in what
 * it answers. `change` answers the buffer that it was given to leave the event as it is, byte for byte; comments, ids,
 * `retry` and types always stay. An answer of undefined gives up: the result is undefined.
 *
 * Events without data (comments, the empty event that opens a resumable stream) are not handed over; an event that the
 * end of the text cuts off is, as some clients would take it.
 */
export function mapSseData(bytes: Buffer, change: (data: Buffer, type: string) => Buffer | undefined): Buffer | undefined {
  const pieces: Buffer[] = [];
  let dataLines: Line[] = [];
  let type = DEFAULT_TYPE;
  let copied = 0;
  let pos = startsWithBom(bytes) ? BOM.length : 0;

  while (pos < bytes.length) {
    const line = lineAt(bytes, pos);
    pos = line.next;
    const text = bytes.subarray(line.start, line.end);
    if (fieldValue(text, 'data') !== undefined) dataLines.push(line);
    type = typeOf(text) ?? type;
    if (text.length > 0 && pos < bytes.length) continue;

    const data = joinLines(dataLines.map(({ start, end }) => fieldValue(bytes.subarray(start, end), 'data') as Buffer));
    const changed = data.length === 0 ? data : change(data, type);
    if (changed === undefined) return undefined;
    if (changed !== data) {
      pieces.push(bytes.subarray(copied, dataLines[0]?.start), dataField(changed, bytes, dataLines[0] as Line));
      dataLines.forEach((each, index) => {
        pieces.push(bytes.subarray(each.next, dataLines[index + 1]?.start ?? pos));
      });
      copied = pos;
    }
    dataLines = [];
    type = DEFAULT_TYPE;
  }
  return copied === 0 ? bytes : Buffer.concat([...pieces, bytes.subarray(copied)]);
}

/**
 * Takes out the lines by which a client could come back for more (`id`, `retry`): for a stream that is given whole, and whose server would
 * answer a request to resume it with what was taken out of it.
 */
export function withoutEventIds(bytes: Buffer): Buffer {
  const kept: Buffer[] = [];
  for (let pos = startsWithBom(bytes) ? BOM.length : 0; pos < bytes.length; ) {
    const line = lineAt(bytes, pos);
    pos = line.next;
    const text = bytes.subarray(line.start, line.end);
    if (fieldValue(text, 'id') === undefined && fieldValue(text, 'retry') === undefined) kept.push(bytes.subarray(line.start, line.next));
  }
  return Buffer.concat(kept);
}

function lineAt(bytes: Buffer, start: number): Line {
  let end = start;
  while (end < bytes.length && bytes[end] !== LF && bytes[end] !== CR) end += 1;
  if (end === bytes.length) return { start, end, next: end };
  return { start, end, next: bytes[end] === CR && bytes[end + 1] === LF ? end + 2 : end + 1 };
}

/** The value of a line of the field `name`, without the one space that may open it; undefined for other lines. */
function fieldValue(line: Buffer, name: string): Buffer | undefined {
  if (line.length < name.length || line.toString('latin1', 0, name.length) !== name) return undefined;
  if (line.length === name.length) return line.subarray(name.length);
  if (line[name.length] !== COLON) return undefined;
  return line.subarray(name.length + (line[name.length + 1] === SPACE ? 2 : 1));
}

/** The type that a line gives to its event; an empty one is the default again. */
function typeOf(line: Buffer): string | undefined {
  const value = fieldValue(line, 'event');
  return value === undefined ? undefined : value.toString() || DEFAULT_TYPE;
}

function joinLines(lines: readonly Buffer[]): Buffer {
  if (lines.length === 1) return lines[0] as Buffer;
  return Buffer.concat(lines.flatMap((line, index) => (index === 0 ? [line] : [NEW_LINE, line])));
}

/** `data` as lines of an event, with the ending that `model`, a line of `bytes`, has. */
function dataField(data: Buffer, bytes: Buffer, model: Line): Buffer {
  const ending = model.next > model.end ? bytes.subarray(model.end, model.next) : NEW_LINE;
  const pieces: Buffer[] = [];
  for (let line = lineAt(data, 0); ; line = lineAt(data, line.next)) {
    pieces.push(Buffer.from('data: '), data.subarray(line.start, line.end), ending);
    if (line.next === line.end) return Buffer.concat(pieces);
  }
}

function startsWithBom(bytes: Buffer): boolean {
  return bytes.subarray(0, BOM.length).equals(BOM);
}
