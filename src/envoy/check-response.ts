// ext_authz on the wire, outwards: a decision becomes the bytes of a CheckResponse, written by hand because every request waits for it.

import type { Answer, Decision, Forward, RequestFacts } from '../gateway/request.ts';
import { corsHeaders } from '../gateway/shape.ts';
import { ProtoWriter } from './proto-writer.ts';
import { APPEND, OVERWRITE_IF_EXISTS, OVERWRITE_OR_ADD } from './services.ts';

/** google.rpc.Code PERMISSION_DENIED: anything but OK makes Envoy send `denied_response`. */
const PERMISSION_DENIED = 7;

/** Field numbers of envoy.service.auth.v3; proto/ has the messages, and a test holds these bytes against them. */
const RESPONSE = { status: 1, denied: 2, ok: 3, metadata: 4 } as const;
const OK = { headers: 2, remove: 5, responseHeaders: 6 } as const;
const DENIED = { status: 1, headers: 2, body: 3 } as const;
const OPTION = { header: 1, action: 3 } as const;
const HEADER = { key: 1, value: 2 } as const;
const STRUCT = { fields: 1 } as const;
const ENTRY = { key: 1, value: 2 } as const;
const VALUE = { number: 2, string: 3 } as const;
const CODE = 1;

const MAX_ID_CHARS = 256;

const writer = new ProtoWriter();

/** The bytes of a CheckResponse. */
export function encodeDecision(decision: Decision): Buffer {
  // What an earlier decision left unfinished, by a bug, must never become part of this one.
  writer.clear();
  if (decision.kind === 'forward') writeForward(decision);
  else writeAnswer(decision);
  return writer.finish();
}

/**
 * The fields of an answer that stay the same while a session's requests go to one instance, already written. They are found by the
 * array of their headers: a decision that hands over the same array again means the same headers.
 */
interface Written {
  readonly decision: Forward;
  readonly ok: Buffer;
  readonly metadata: Buffer;
  /** Facts by method and tool. */
  readonly facts: Map<string, Buffer>;
}

const written = new WeakMap<Forward['set'], Written>();
/** A session may call any number of tools; the facts of so many are kept. */
const MAX_FACTS = 32;

function writeForward(decision: Forward): void {
  const known = written.get(decision.set);
  const reused = known && isSame(known.decision, decision) ? known : undefined;
  const ok = writer.begin(RESPONSE.ok);
  const okStart = writer.mark();
  if (reused) writer.raw(reused.ok);
  else writeSteadyHeaders(decision);
  const okBytes = reused?.ok ?? writer.since(okStart);
  if (decision.corsOrigin !== undefined) {
    for (const [name, value] of corsHeaders(decision.corsOrigin)) {
      writeHeader(OK.responseHeaders, name, value, name === 'vary' ? APPEND : OVERWRITE_OR_ADD);
    }
  }
  if (decision.rateLimit !== undefined) {
    for (const [name, value] of decision.rateLimit) writeHeader(OK.responseHeaders, name, value, OVERWRITE_OR_ADD);
  }
  writer.end(ok);

  const metadata = writer.begin(RESPONSE.metadata);
  const metadataStart = writer.mark();
  if (reused) writer.raw(reused.metadata);
  else {
    writeField('upstream', decision.upstream);
    writeField('way', WAYS[decision.way][decision.pass][decision.tls ? 'tls' : 'plain']);
  }
  const entry = reused ?? { decision, ok: okBytes, metadata: writer.since(metadataStart), facts: new Map<string, Buffer>() };
  if (!reused) written.set(decision.set, entry);
  writeFacts(decision.facts, entry.facts);
  if (isExact(decision.rpcId)) writeField('rpc_id', decision.rpcId);
  if (decision.opening) writeField('opening', JSON.stringify(decision.opening));
  const lease = leaseText(decision);
  if (lease !== undefined) writeField('lease', lease);
  writer.end(metadata);
}

/** What the end of a request settles: read by `readLease`. Neither session keys nor tenants' names hold spaces. */
function leaseText({ ending, leased, opening }: Forward): string | undefined {
  const opens = opening?.slot === undefined ? undefined : opening.tenant;
  if (ending === undefined && opens === undefined) return leased === undefined ? undefined : `run=${leased}`;
  return [ending && `end=${ending}`, leased && `run=${leased}`, opens && `open=${opens}`].filter(Boolean).join(' ');
}

/** Everything that `writeSteadyHeaders` and the steady metadata are made of; headers are the same array. */
function isSame(a: Forward, b: Forward): boolean {
  return (
    a.path === b.path &&
    a.remove === b.remove &&
    a.upstream === b.upstream &&
    a.authority === b.authority &&
    a.sessionId === b.sessionId &&
    a.way === b.way &&
    a.pass === b.pass &&
    a.tls === b.tls
  );
}

function writeSteadyHeaders(decision: Forward): void {
  for (const [name, value] of decision.set) writeHeader(OK.headers, name, value, OVERWRITE_OR_ADD);
  writeHeader(OK.headers, ':path', decision.path, OVERWRITE_OR_ADD);
  if (decision.authority !== undefined) writeHeader(OK.headers, ':authority', decision.authority, OVERWRITE_OR_ADD);
  for (const name of decision.remove) writer.text(OK.remove, name);
  // SDK servers put their own session id on every answer; the client must only ever see its own.
  if (decision.sessionId !== undefined) writeHeader(OK.responseHeaders, 'mcp-session-id', decision.sessionId, OVERWRITE_IF_EXISTS);
}

/** Caller, backend and instance go with the headers; what is left to differ is in the key. */
function writeFacts(facts: RequestFacts, known: Map<string, Buffer>): void {
  const usual = facts.reason === undefined && facts.recovered !== true;
  const key = `${facts.method} ${facts.tool}`;
  const encoded = usual ? known.get(key) : undefined;
  if (encoded) {
    writer.raw(encoded);
    return;
  }
  const start = writer.mark();
  writeField('facts', JSON.stringify(facts));
  if (!usual) return;
  if (known.size >= MAX_FACTS) known.clear();
  known.set(key, writer.since(start));
}

/**
 * Whether an id comes back from metadata as it was: numbers are doubles there, and Envoy's JSON knows no infinity (1e400).
 * Any other is left out rather than given back changed, and so is one that nobody needs to read in every log entry.
 */
function isExact(id: string | number | undefined): id is string | number {
  if (typeof id === 'string') return id.length <= MAX_ID_CHARS;
  return Number.isSafeInteger(id) || (Number.isFinite(id) && !Number.isInteger(id));
}

/** Names of routes of envoy/envoy.yaml. */
const WAYS = {
  session: { 1: { plain: 'session-1', tls: 'session-1-tls' }, 2: { plain: 'session-2', tls: 'session-2-tls' } },
  initialize: { 1: { plain: 'initialize-1', tls: 'initialize-1-tls' }, 2: { plain: 'initialize-2', tls: 'initialize-2-tls' } },
  stateless: { 1: { plain: 'stateless-1', tls: 'stateless-1-tls' }, 2: { plain: 'stateless-2', tls: 'stateless-2-tls' } },
} as const;

function writeAnswer(decision: Answer): void {
  const status = writer.begin(RESPONSE.status);
  writer.int(CODE, PERMISSION_DENIED);
  writer.end(status);
  const denied = writer.begin(RESPONSE.denied);
  const code = writer.begin(DENIED.status);
  writer.int(CODE, decision.status);
  writer.end(code);
  for (const [name, value] of decision.headers) {
    writeHeader(DENIED.headers, name, value, name === 'vary' || name === 'set-cookie' ? APPEND : OVERWRITE_OR_ADD);
  }
  writer.bytes(DENIED.body, typeof decision.body === 'string' ? Buffer.from(decision.body) : decision.body);
  writer.end(denied);
  const metadata = writer.begin(RESPONSE.metadata);
  writeField('facts', JSON.stringify(decision.facts));
  writer.end(metadata);
}

function writeHeader(field: number, name: string, value: string, action: number): void {
  const option = writer.begin(field);
  const header = writer.begin(OPTION.header);
  writer.text(HEADER.key, name);
  writer.text(HEADER.value, value);
  writer.end(header);
  if (action !== APPEND) writer.int(OPTION.action, action);
  writer.end(option);
}

function writeField(name: string, value: string | number): void {
  const entry = writer.begin(STRUCT.fields);
  writer.text(ENTRY.key, name);
  const wrapped = writer.begin(ENTRY.value);
  if (typeof value === 'string') writer.text(VALUE.string, value);
  else writer.double(VALUE.number, value);
  writer.end(wrapped);
  writer.end(entry);
}
