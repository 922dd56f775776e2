// What the bridge has to know of JSON-RPC messages to pass them on: found by offsets, so that the bytes themselves stay as they are.

import { isUtf8 } from 'node:buffer';
import { JsonScanner } from '../../core/json-scan.ts';

/** A JSON-RPC id, progress token or request id in a form that can be compared: strings and numbers never meet. */
export type TokenKey = string;

/** One message. `bytes` are its own, free of raw line breaks; `rawId` is its id as written. */
export interface Message {
  readonly kind: 'request' | 'notification' | 'response';
  readonly bytes: Buffer;
  readonly method: string | undefined;
  readonly id: TokenKey | undefined;
  readonly rawId: string | undefined;
  /** A request's `params._meta.progressToken`, a progress notification's `params.progressToken`. */
  readonly progressToken: TokenKey | undefined;
  /** `params.requestId` of a cancellation. */
  readonly cancels: TokenKey | undefined;
  readonly failed: boolean;
}

/** `not-json`: no JSON text in UTF-8. `not-rpc`: JSON, but not a JSON-RPC 2.0 message or a batch of such. */
export type MessageFault = 'not-json' | 'not-rpc';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;

/**
 * Reads one message or a batch. Raw line breaks can stand between tokens only (strings must escape them), so each becomes a blank:
 * the message then fits on a line and into one `data:` field, and says the same.
 */
export function readMessages(text: Buffer): { batch: boolean; messages: readonly Message[] } | MessageFault {
  if (!isUtf8(text)) {
    return 'not-json';
  }
  const bytes = onOneLine(text);
  const scan = new JsonScanner(bytes);
  const messages: (Message | undefined)[] = [];
  const batch = scan.atArray();
  if (batch) {
    scan.enterArray();
    while (scan.nextElement()) {
      messages.push(readMessage(scan));
    }
  } else {
    messages.push(readMessage(scan));
  }
  if (!scan.atEnd()) {
    return 'not-json';
  }
  const complete = messages.filter((message) => message !== undefined);
  return complete.length === messages.length && complete.length > 0 ? { batch, messages: complete } : 'not-rpc';
}

/** Compares the way JavaScript peers do: a peer that reads numbers as doubles answers with a rounded id. */
export function sameNumber(one: TokenKey, other: TokenKey): boolean {
  return one.startsWith('n') && other.startsWith('n') && Number(one.slice(1)) === Number(other.slice(1));
}

function readMessage(scan: JsonScanner): Message | undefined {
  scan.peekByte();
  const start = scan.pos;
  if (!scan.atObject()) {
    scan.skipValue();
    return undefined;
  }
  const found: { method?: string; id?: string; token?: TokenKey | undefined; cancels?: TokenKey | undefined } = {};
  let version: string | undefined;
  let answer: 'result' | 'error' | undefined;
  scan.enterObject();
  while (scan.nextMember()) {
    const key = scan.decode(scan.span);
    if (key === 'jsonrpc') {
      version = scan.readString();
    } else if (key === 'method') {
      found.method = scan.readString() ?? '';
    } else if (key === 'id') {
      found.id = rawValue(scan);
    } else if (key === 'params' && scan.atObject()) {
      Object.assign(found, readParams(scan));
    } else {
      answer = key === 'result' || key === 'error' ? key : answer;
      scan.skipValue();
    }
  }
  const id = tokenKey(found.id);
  const kind =
    found.method === undefined ? (answer === undefined ? undefined : 'response') : found.id === undefined ? 'notification' : 'request';
  if (version !== '2.0' || kind === undefined || (kind === 'request' && id === undefined) || found.method === '') {
    return undefined;
  }
  const bytes = scan.bytes.subarray(start, scan.pos);
  const { method, token: progressToken, cancels } = found;
  return { kind, bytes, method, id, rawId: found.id, progressToken, cancels, failed: answer === 'error' };
}

function readParams(scan: JsonScanner): { token: TokenKey | undefined; cancels: TokenKey | undefined } {
  let token: TokenKey | undefined;
  let cancels: TokenKey | undefined;
  scan.enterObject();
  while (scan.nextMember()) {
    const key = scan.decode(scan.span);
    if (key === 'progressToken') {
      token = tokenKey(rawValue(scan));
    } else if (key === 'requestId') {
      cancels = tokenKey(rawValue(scan));
    } else if (key === '_meta' && scan.atObject()) {
      scan.enterObject();
      while (scan.nextMember()) {
        const isToken = scan.decode(scan.span) === 'progressToken';
        const raw = rawValue(scan);
        token = isToken ? tokenKey(raw) : token;
      }
    } else {
      scan.skipValue();
    }
  }
  return { token, cancels };
}

function rawValue(scan: JsonScanner): string {
  scan.peekByte();
  const start = scan.pos;
  scan.skipValue();
  return scan.bytes.toString('utf8', start, scan.pos);
}

/** Strings by what they say (peers may escape differently), numbers by value as far as a double holds it exactly, else as written. */
function tokenKey(raw: string | undefined): TokenKey | undefined {
  if (raw === undefined) {
    return undefined;
  }
  if (raw.startsWith('"')) {
    return safely(() => `s${JSON.parse(raw) as string}`);
  }
  const number = Number(raw);
  return /^[-\d]/.test(raw) ? `n${Number.isSafeInteger(number) ? number : raw}` : undefined;
}

/** A text with a fault is refused as a whole in the end; until then its parts may be anything. */
function safely<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function onOneLine(text: Buffer): Buffer {
  if (!text.includes(LINE_FEED) && !text.includes(CARRIAGE_RETURN)) {
    return text;
  }
  const copy = Buffer.from(text);
  for (let at = 0; at < copy.length; at += 1) {
    if (copy[at] === LINE_FEED || copy[at] === CARRIAGE_RETURN) {
      copy[at] = SPACE;
    }
  }
  return copy;
}
