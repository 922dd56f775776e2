// Where the arguments of a tool call stand in its body, for who wants to keep them as they were written.

import { JsonScanner } from './json-scan.ts';
import { KeySet } from './json-scan-keys.ts';

const keys = new KeySet(['arguments']);

/**
 * The raw JSON of `params.arguments`; undefined when there is none. When servers could disagree about which value counts (the key
 * comes twice, or another one differs in case only), the raw JSON of all `params`: nothing is hidden from who reads it.
 * `range` is the `paramsRange` of a message whose body has been read without a fault.
 */
export function rawArguments(body: Buffer, range: readonly [start: number, end: number]): Buffer | undefined {
  const params = body.subarray(...range);
  const scanner = new JsonScanner(params);
  if (!scanner.atObject()) return undefined;
  let found: Buffer | undefined;
  const ambiguous = keys.walk(
    scanner,
    () => {
      scanner.peekByte();
      const start = scanner.pos;
      scanner.skipValue();
      found = params.subarray(start, scanner.pos);
      return undefined;
    },
    () => true,
  );
  return ambiguous ? params : found;
}
