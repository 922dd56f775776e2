// Rows of text under each other, for people: columns as wide as their widest cell.

/** Control and formatting characters: a token's subject must not move the cursor of an administrator's terminal. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;
/** The same but for line feeds and tabs. */
const UNPRINTABLE_IN_TEXT = /[^\P{Cc}\n\t]|[\p{Cf}\u2028\u2029]/gu;

/** Ends with a line feed. The first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of cells) for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  return cells
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, '\ufffd');
}

/** As `printable`, for text of several lines. */
export function printableText(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(UNPRINTABLE_IN_TEXT, '\ufffd');
}
