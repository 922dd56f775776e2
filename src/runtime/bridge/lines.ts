// Splits a byte stream into lines without decoding it.

const LINE_FEED = 0x0a;

/**
 * A function that takes chunks and calls `onLine` for each complete line, without its line feed. A line longer than `maxBytes` is
 * skipped to its end and reported once.
 */
export function createLineSplitter(options: { maxBytes: number; onLine: (line: Buffer) => void; onTooLong: () => void }) {
  const { maxBytes, onLine, onTooLong } = options;
  let parts: Buffer[] = [];
  let length = 0;
  let skipping = false;

  function add(part: Buffer): void {
    length += part.length;
    if (length > maxBytes && !skipping) {
      skipping = true;
      parts = [];
      onTooLong();
    }
    if (!skipping && part.length > 0) {
      parts.push(part);
    }
  }

  return (chunk: Buffer): void => {
    let rest = chunk;
    for (let end = rest.indexOf(LINE_FEED); end >= 0; end = rest.indexOf(LINE_FEED)) {
      add(rest.subarray(0, end));
      const line = skipping ? undefined : parts.length === 1 ? parts[0] : Buffer.concat(parts);
      parts = [];
      length = 0;
      skipping = false;
      rest = rest.subarray(end + 1);
      if (line !== undefined && line.length > 0) {
        onLine(line);
      }
    }
    add(rest);
  };
}
