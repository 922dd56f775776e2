// Takes tools out of the answer to `tools/list` by cutting bytes: what stays is the upstream's own text, to the byte.

import { isUtf8 } from 'node:buffer';
import { JsonScanner } from './json-scan.ts';
import { isAmbiguousText, KeySet } from './json-scan-keys.ts';

export interface ListFilterOptions {
  /** Turn every `result.cacheScope` into "private": an answer that depends on the caller must not be shared (2026-07-28). */
  readonly privateCache: boolean;
}

/** `error` says for the log why the answer was not understood. It must then not be passed on: a tool could hide in it. */
export type ListFilterResult = { readonly body: Buffer; readonly removed: number } | { readonly error: string };

/** Bytes `[start, end)` that give way to `text`. Edits are kept in the order of the body. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

interface Walk {
  readonly scanner: JsonScanner;
  readonly allowed: (name: string) => boolean;
  readonly privateCache: boolean;
  readonly edits: Edit[];
  removed: number;
}

const messageKeys = new KeySet(['result']);
const resultKeys = new KeySet(['tools', 'cacheScope']);
const toolKeys = new KeySet(['name']);

/**
 * Removes the elements of `result.tools` whose `name` is not allowed, in one message or in each of a batch. Messages
 * without a result, and results without tools, stay as they are. When nothing changes, `body` is the one that was given.
 *
 * Whatever could be read in two ways is an error: bad JSON or UTF-8, `result`, `tools` or `name` that come twice, look
 * like one another to laxer parsers, or have another JSON type. Never throws, unless `allowed` does.
 */
export function filterToolsList(body: Buffer, allowed: (name: string) => boolean, options: ListFilterOptions): ListFilterResult {
  if (!isUtf8(body)) return { error: 'not UTF-8' };
  const scanner = new JsonScanner(body);
  const walk: Walk = { scanner, allowed, privateCache: options.privateCache, edits: [], removed: 0 };
  const error = walkMessages(walk);
  if (error !== undefined) return { error };
  if (!scanner.atEnd()) return { error: `not JSON at byte ${scanner.pos}` };
  return { body: splice(body, walk.edits), removed: walk.removed };
}

function walkMessages(walk: Walk): string | undefined {
  const { scanner } = walk;
  if (!scanner.atArray()) return walkMessage(walk);
  scanner.enterArray();
  while (scanner.nextElement()) {
    const error = walkMessage(walk);
    if (error !== undefined) return error;
  }
  return undefined;
}

function walkMessage(walk: Walk): string | undefined {
  if (!walk.scanner.atObject()) return 'a message is not an object';
  return messageKeys.walk(walk.scanner, () => walkResult(walk), refuseKey);
}

function walkResult(walk: Walk): string | undefined {
  if (!walk.scanner.atObject()) return '"result" is not an object';
  return resultKeys.walk(walk.scanner, (key) => (key === 'tools' ? walkTools(walk) : walkCacheScope(walk)), refuseKey);
}

function walkTools(walk: Walk): string | undefined {
  const { scanner, edits } = walk;
  if (!scanner.atArray()) return '"tools" is not an array';
  let first = -1;
  let last = -1;
  let kept = false;
  scanner.enterArray();
  while (scanner.nextElement()) {
    const start = scanner.pos;
    if (first < 0) first = start;
    const tool = walkTool(walk);
    if (typeof tool === 'string') return tool;
    if (tool.keep && !kept && start > first) edits.push({ start: first, end: start, text: '' });
    if (!tool.keep) walk.removed += 1;
    if (!tool.keep && kept) edits.push({ start: last, end: scanner.pos, text: '' });
    kept ||= tool.keep;
    last = scanner.pos;
  }
  if (!kept && first >= 0) edits.push({ start: first, end: last, text: '' });
  return undefined;
}

function walkTool({ scanner, allowed }: Walk): { readonly keep: boolean } | string {
  if (!scanner.atObject()) return 'a tool is not an object';
  let name: string | undefined;
  const take = (): string | undefined => {
    name = scanner.readString();
    return name !== undefined && scanner.span.escaped && isAmbiguousText(name) ? 'a name that parsers read differently' : undefined;
  };
  const error = toolKeys.walk(scanner, take, refuseKey);
  if (error !== undefined) return error;
  return name === undefined ? 'a tool without a name' : { keep: allowed(name) };
}

function walkCacheScope({ scanner, privateCache, edits }: Walk): undefined {
  const start = scanner.pos;
  if (scanner.readString() !== 'private' && privateCache) edits.push({ start, end: scanner.pos, text: '"private"' });
}

function refuseKey(why: 'twice' | 'lax', key: string): string {
  return why === 'twice' ? `"${key}" twice` : `a key that is almost "${key}"`;
}

function splice(body: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return body;
  const pieces: Buffer[] = [];
  let from = 0;
  for (const { start, end, text } of edits) {
    pieces.push(body.subarray(from, start), Buffer.from(text));
    from = end;
  }
  pieces.push(body.subarray(from));
  return Buffer.concat(pieces);
}
