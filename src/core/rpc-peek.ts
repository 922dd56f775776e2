// What a JSON-RPC body says to a gateway: what is called, on what, by which id; one pass over the bytes, no value built.

import { isUtf8 } from 'node:buffer';
import { JsonScanner } from './json-scan.ts';
import { isAmbiguousText, KeySet } from './json-scan-keys.ts';
import { type SubjectField, subjectField } from './rpc-peek-methods.ts';

/** Elements of a batch; one more refuses the whole batch. */
export const MAX_BATCH = 50;

/** Where a modern request (2026-07-28 and later) names its protocol version, inside `params._meta`. */
export const PROTOCOL_VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';

/** What a message says of itself. A field is undefined when it is absent or of another JSON type than named here. */
export interface RpcFields {
  /** The id as it is written, quotes and digits included, to be echoed byte for byte; `null` for an id that is neither string nor number. */
  readonly id: string | undefined;
  /** What JSON.parse makes of the id: large numbers are rounded. */
  readonly idValue: string | number | undefined;
  readonly method: string | undefined;
  /** `params.name`, of tools/call and prompts/get. */
  readonly name: string | undefined;
  /** `params.uri`, of resources/read, subscribe and unsubscribe. */
  readonly uri: string | undefined;
  /** `params.taskId`, of tasks/get, update, cancel and result. */
  readonly taskId: string | undefined;
  /** `params.level`, of logging/setLevel. */
  readonly level: string | undefined;
  /** The version that `params._meta` claims: present makes the message a modern one. */
  readonly protocolVersion: string | undefined;
  /** `params._meta.traceparent` (SEP-414), as it is written: nothing is decided by it, so nothing about it is refused. */
  readonly traceparent: string | undefined;
}

export interface RpcMessage extends RpcFields {
  /**
   * `request`: a method and an id (of any kind, null too). `notification`: a method, no id. `response`: no method, but
   * a result or an error. `malformed`: JSON, but none of these (a method that is not a string, or nothing at all);
   * servers refuse it.
   */
  readonly type: 'request' | 'notification' | 'response' | 'malformed';
  /** Byte offsets `[start, end)` of `params` in the body, to cut it out as it was written. */
  readonly paramsRange: readonly [start: number, end: number] | undefined;
}

/**
 * `empty`: no text, or a batch without elements. `not-an-object`: JSON, but not a message (or an element that is none).
 * `duplicate-key`: a key that matters comes twice. `ambiguous-key`: some parsers would take a key for one that matters.
 * `ambiguous-value`: a string that matters holds U+0000 or a lone surrogate, which parsers read differently.
 */
export type PeekFault =
  | 'parse-error'
  | 'duplicate-key'
  | 'ambiguous-key'
  | 'ambiguous-value'
  | 'not-an-object'
  | 'batch-too-large'
  | 'too-deep'
  | 'empty';

export type Peek =
  | { readonly kind: 'single'; readonly message: RpcMessage }
  | { readonly kind: 'batch'; readonly messages: readonly RpcMessage[]; readonly initializeInBatch: boolean }
  /** The text was cut: `message` holds what was read (what follows may repeat a key), and is undefined for a batch. */
  | { readonly kind: 'incomplete'; readonly batch: boolean; readonly message: RpcFields | undefined }
  /** `detail` is for the log: no part of the body is in it. */
  | { readonly kind: 'invalid'; readonly reason: PeekFault; readonly detail: string };

type Invalid = Extract<Peek, { kind: 'invalid' }>;

type Draft = { -readonly [Field in keyof RpcFields]: RpcFields[Field] } & {
  hasMethod: boolean;
  hasOutcome: boolean;
  paramsRange: readonly [number, number] | undefined;
  /** Subjects that a laxer parser would find in `params`. */
  laxParams: Set<SubjectField> | undefined;
};

const messageKeys = new KeySet(['method', 'params', 'id', 'result', 'error', 'jsonrpc']);
const paramsKeys = new KeySet(['name', 'uri', 'taskId', 'level', '_meta']);
const metaKeys = new KeySet([PROTOCOL_VERSION_KEY, 'traceparent']);

/**
 * Reads a body. `complete: false` says that more bytes may follow; a text that has ended is read as usual even so.
 * Never throws; linear in the body's length.
 *
 * Says `invalid` for everything that JSON.parse refuses, for invalid UTF-8 and a byte order mark anywhere, and for
 * texts in which another parser could see another method, name or id than this one. For the rest it agrees with JSON.parse.
 */
export function peek(body: Uint8Array, options: { readonly complete: boolean }): Peek {
  const { complete } = options;
  if (!isUtf8(complete ? body : withoutCutCharacter(body))) return invalid('parse-error', 'not UTF-8');
  const scanner = new JsonScanner(body);
  if (scanner.atEnd()) return complete ? invalid('empty', 'no JSON text') : { kind: 'incomplete', batch: false, message: undefined };

  if (scanner.atObject()) {
    const draft = newDraft();
    const wrong = readMessage(scanner, draft) ?? ending(scanner, complete);
    if (wrong !== undefined) return wrong;
    if (scanner.fault !== undefined) return { kind: 'incomplete', batch: false, message: fieldsOf(draft) };
    return { kind: 'single', message: messageOf(draft) };
  }

  if (scanner.atArray()) {
    const messages: RpcMessage[] = [];
    const wrong = readBatch(scanner, messages) ?? ending(scanner, complete);
    if (wrong !== undefined) return wrong;
    if (scanner.fault !== undefined) return { kind: 'incomplete', batch: true, message: undefined };
    if (messages.length === 0) return invalid('empty', 'a batch without elements');
    return { kind: 'batch', messages, initializeInBatch: messages.some((message) => message.method === 'initialize') };
  }

  scanner.skipValue();
  return ending(scanner, complete) ?? invalid('not-an-object', 'a JSON value that is not an object');
}

/** What is wrong with the end of the text; undefined when it ended well, or was cut where that is allowed. */
function ending(scanner: JsonScanner, complete: boolean): Invalid | undefined {
  switch (scanner.fault) {
    case 'too-deep':
      return invalid('too-deep', `nested too deep at byte ${scanner.pos}`);
    case 'syntax':
      return invalid('parse-error', `not JSON at byte ${scanner.pos}`);
    case 'cut':
      return complete ? invalid('parse-error', 'the text ends early') : undefined;
    case undefined:
      return scanner.atEnd() ? undefined : invalid('parse-error', `text after the end at byte ${scanner.pos}`);
  }
}

function readBatch(scanner: JsonScanner, messages: RpcMessage[]): Invalid | undefined {
  scanner.enterArray();
  while (scanner.nextElement()) {
    if (!scanner.atObject()) return invalid('not-an-object', 'a batch element that is not an object');
    if (messages.length === MAX_BATCH) return invalid('batch-too-large', `a batch of more than ${MAX_BATCH} elements`);
    const draft = newDraft();
    const wrong = readMessage(scanner, draft);
    if (wrong !== undefined) return wrong;
    messages.push(messageOf(draft));
  }
  return undefined;
}

function readMessage(scanner: JsonScanner, draft: Draft): Invalid | undefined {
  const take = (key: string): Invalid | undefined => {
    switch (key) {
      case 'method':
        draft.hasMethod = true;
        draft.method = scanner.readString();
        return checkText(scanner, draft.method, key);
      case 'params':
        return readParams(scanner, draft);
      case 'id':
        readId(scanner, draft);
        return undefined;
      default:
        draft.hasOutcome ||= key === 'result' || key === 'error';
        scanner.skipValue();
        return undefined;
    }
  };
  return messageKeys.walk(scanner, take, refuseKey) ?? checkLaxParams(draft);
}

function readParams(scanner: JsonScanner, draft: Draft): Invalid | undefined {
  const start = scanner.pos;
  let wrong: Invalid | undefined;
  if (scanner.atObject()) {
    wrong = paramsKeys.walk(
      scanner,
      (key) => {
        if (key === '_meta') return readMeta(scanner, draft);
        draft[key] = scanner.readString();
        return checkText(scanner, draft[key], `params.${key}`);
      },
      (why, key) => {
        if (why === 'twice' || key === '_meta') return refuseKey(why, `params.${key}`);
        draft.laxParams ??= new Set();
        draft.laxParams.add(key);
        return undefined;
      },
    );
  } else {
    scanner.skipValue();
  }
  if (scanner.fault === undefined) draft.paramsRange = [start, scanner.pos];
  return wrong;
}

function readMeta(scanner: JsonScanner, draft: Draft): Invalid | undefined {
  if (!scanner.atObject()) {
    scanner.skipValue();
    return undefined;
  }
  const take = (key: typeof PROTOCOL_VERSION_KEY | 'traceparent'): Invalid | undefined => {
    if (key === 'traceparent') {
      draft.traceparent = scanner.readString();
      return undefined;
    }
    draft.protocolVersion = scanner.readString();
    return checkText(scanner, draft.protocolVersion, key);
  };
  return metaKeys.walk(scanner, take, (why, key) => {
    if (key !== 'traceparent') return refuseKey(why, key);
    if (why === 'twice') draft.traceparent = undefined;
    return undefined;
  });
}

function readId(scanner: JsonScanner, draft: Draft): void {
  const first = scanner.peekByte();
  const start = scanner.pos;
  const text = scanner.readString();
  if (scanner.fault !== undefined) return;
  const isNumber = isNumberStart(first);
  draft.id = text !== undefined || isNumber ? scanner.bytes.toString('utf8', start, scanner.pos) : 'null';
  draft.idValue = isNumber ? Number(draft.id) : text;
}

/** Right after `readString`: only an escape can have brought in what `isAmbiguousText` looks for. */
function checkText(scanner: JsonScanner, text: string | undefined, what: string): Invalid | undefined {
  if (text === undefined || !scanner.span.escaped || !isAmbiguousText(text)) return undefined;
  return invalid('ambiguous-value', `"${what}" holds U+0000 or a lone surrogate`);
}

/** A lax key in `params` is harmless where nothing is decided by that key: extensions have params of their own. */
function checkLaxParams({ laxParams, method }: Draft): Invalid | undefined {
  if (laxParams === undefined || method === undefined) return undefined;
  const subject = subjectField(method);
  return subject !== undefined && laxParams.has(subject) ? refuseKey('lax', `params.${subject}`) : undefined;
}

function refuseKey(why: 'twice' | 'lax', key: string): Invalid {
  return why === 'twice' ? invalid('duplicate-key', `"${key}" twice`) : invalid('ambiguous-key', `a key that is almost "${key}"`);
}

function newDraft(): Draft {
  return {
    id: undefined,
    idValue: undefined,
    method: undefined,
    name: undefined,
    uri: undefined,
    taskId: undefined,
    level: undefined,
    protocolVersion: undefined,
    traceparent: undefined,
    paramsRange: undefined,
    hasMethod: false,
    hasOutcome: false,
    laxParams: undefined,
  };
}

function fieldsOf({ id, idValue, method, name, uri, taskId, level, protocolVersion, traceparent }: Draft): RpcFields {
  return { id, idValue, method, name, uri, taskId, level, protocolVersion, traceparent };
}

function messageOf(draft: Draft): RpcMessage {
  const { id, idValue, method, name, uri, taskId, level, protocolVersion, traceparent, paramsRange } = draft;
  return { type: typeOf(draft), id, idValue, method, name, uri, taskId, level, protocolVersion, traceparent, paramsRange };
}

function typeOf({ method, hasMethod, hasOutcome, id }: Draft): RpcMessage['type'] {
  if (method !== undefined) return id === undefined ? 'notification' : 'request';
  return hasOutcome && !hasMethod ? 'response' : 'malformed';
}

/** The text without a UTF-8 sequence that its cut end has left unfinished (three bytes at most). */
function withoutCutCharacter(body: Uint8Array): Uint8Array {
  for (let back = 1; back <= 3 && back <= body.length; back += 1) {
    const byte = body[body.length - back] as number;
    if (byte < 0x80) return body;
    if (byte < 0xc0) continue;
    const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    return length > back ? body.subarray(0, body.length - back) : body;
  }
  return body;
}

function isNumberStart(byte: number): boolean {
  return byte === 0x2d || (byte >= 0x30 && byte <= 0x39);
}

function invalid(reason: PeekFault, detail: string): Invalid {
  return { kind: 'invalid', reason, detail };
}
