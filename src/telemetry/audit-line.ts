// One line of the audit log: which fields it has, how it is written, and what is cut.

import { rawArguments } from '../core/rpc-arguments.ts';
import type { RpcMessage } from '../core/rpc-peek.ts';

/** Arguments beyond this are cut, and the line says so. */
const MAX_ARGUMENTS_BYTES = 16 * 1024;
/** Names that a client chose. */
const MAX_NAME_CHARS = 128;
/** A text that JSON writes as it is: no quote, backslash, control character or surrogate. */
const PLAIN = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

/**
 * What is known of a decision or a change; undefined fields are not written. There is no field for a token, and none that could hold
 * one: session keys are the gateway's own, not the sealed ids that clients send.
 */
export interface AuditEntry {
  /** `tool_call`: let through. `refusal`: anything that was not. `admin`: a change by an administrator, whether it succeeded or not. */
  readonly event: 'tool_call' | 'refusal' | 'admin';
  readonly requestId?: string | undefined;
  readonly issuer?: string | undefined;
  readonly subject?: string | undefined;
  readonly tenant?: string | undefined;
  readonly backend?: string | undefined;
  readonly method?: string | undefined;
  readonly tool?: string | undefined;
  /** Key of the session, as in `mcp-gateway sessions list`. */
  readonly session?: string | undefined;
  /** A code of core/reasons.ts. */
  readonly reason?: string | undefined;
  /** Raw JSON; only for tenants that ask for it. */
  readonly arguments?: Buffer | undefined;
  /** Of an `admin` entry: what was done (`session.end`), to what, and how that went. */
  readonly action?: string | undefined;
  readonly target?: string | undefined;
  readonly outcome?: 'done' | 'refused' | 'failed' | undefined;
}

/** A decision on a request, as far as it is known; the facts are those of the access log. */
export interface Decided {
  readonly requestId: string;
  readonly issuer: string | undefined;
  readonly facts: Pick<AuditEntry, 'subject' | 'tenant' | 'backend' | 'method' | 'tool' | 'reason'>;
  readonly session: string | undefined;
  /** Of the body: a batch has several. Empty when the body was not read, or not to its end. */
  readonly messages: readonly RpcMessage[];
  /** Undefined unless the caller's tenant asks for arguments. */
  readonly body: Buffer | undefined;
}

/** One entry for a refusal, one for each tool call that is let through, and none for anything else. */
export function auditOf({ requestId, issuer, facts, session, messages, body }: Decided): AuditEntry[] {
  const { subject, tenant, backend, method, reason } = facts;
  const [only] = messages;
  const common = { requestId, issuer, subject, tenant, backend, session };
  if (reason !== undefined || messages.length === 0) {
    if (reason === undefined && method !== 'tools/call') return [];
    const event = reason === undefined ? 'tool_call' : 'refusal';
    const tried = messages.length === 1 && only?.method === 'tools/call' ? argumentsOf(only, body) : undefined;
    return [{ event, ...common, method, tool: facts.tool, reason, arguments: tried }];
  }
  const entries: AuditEntry[] = [];
  for (const message of messages) {
    if (message.method !== 'tools/call') continue;
    entries.push({
      event: 'tool_call',
      ...common,
      method: message.method,
      tool: message.name?.slice(0, MAX_NAME_CHARS),
      arguments: argumentsOf(message, body),
    });
  }
  return entries;
}

function argumentsOf({ paramsRange }: RpcMessage, body: Buffer | undefined): Buffer | undefined {
  return body && paramsRange && rawArguments(body, paramsRange);
}

/** With its line feed. `time` is ISO 8601. */
export function auditLine(entry: AuditEntry, time: string): string {
  let line = `{"time":"${time}","event":"${entry.event}"`;
  if (entry.requestId !== undefined) line += `,"requestId":${quoted(entry.requestId)}`;
  if (entry.issuer !== undefined || entry.subject !== undefined) {
    line += `,"caller":{"issuer":${orNull(entry.issuer)},"subject":${orNull(entry.subject)}}`;
  }
  if (entry.tenant !== undefined) line += `,"tenant":${quoted(entry.tenant)}`;
  if (entry.backend !== undefined) line += `,"backend":${quoted(entry.backend)}`;
  if (entry.method !== undefined) line += `,"method":${quoted(entry.method)}`;
  if (entry.tool !== undefined) line += `,"tool":${quoted(entry.tool)}`;
  if (entry.session !== undefined) line += `,"session":${quoted(entry.session)}`;
  if (entry.reason !== undefined) line += `,"reason":${quoted(entry.reason)}`;
  if (entry.arguments !== undefined) line += argumentsField(entry.arguments);
  if (entry.action !== undefined) line += `,"action":${quoted(entry.action)}`;
  if (entry.target !== undefined) line += `,"target":${quoted(entry.target)}`;
  if (entry.outcome !== undefined) line += `,"outcome":"${entry.outcome}"`;
  return `${line}}\n`;
}

/** Hardly any text needs more than its quotes, and finding that out costs a third of `JSON.stringify`. */
function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

function orNull(text: string | undefined): string {
  return text === undefined ? 'null' : quoted(text);
}

/** As a text, not as JSON: it may be cut, may have line feeds, and holds numbers and repeated keys that a reader of JSON would change. */
function argumentsField(raw: Buffer): string {
  if (raw.length <= MAX_ARGUMENTS_BYTES) return `,"arguments":${JSON.stringify(raw.toString())}`;
  let end = MAX_ARGUMENTS_BYTES;
  // Not within a character: bytes 10xxxxxx continue one.
  while (((raw[end] as number) & 0xc0) === 0x80) end -= 1;
  return `,"arguments":${JSON.stringify(raw.toString('utf8', 0, end))},"argumentsCut":true`;
}
