// Do the headers of a modern MCP request (2026-07-28, Streamable HTTP) say the same as its body?

import type { RpcFields, RpcMessage } from './rpc-peek.ts';
import { subjectField } from './rpc-peek-methods.ts';

/** The first version of the modern era; versions are dates, so that later ones sort behind it. */
const FIRST_MODERN_VERSION = '2026-07-28';

/** The modern versions whose rules this gateway knows: only in these may a header be called missing. */
const KNOWN_MODERN_VERSIONS: ReadonlySet<string> = new Set([FIRST_MODERN_VERSION]);

/** The methods whose subject the client repeats in `Mcp-Name`. */
const NAMED_METHODS: ReadonlySet<string> = new Set([
  'tools/call',
  'prompts/get',
  'resources/read',
  'tasks/get',
  'tasks/update',
  'tasks/cancel',
]);

const BASE64_PREFIX = '=?base64?';
const BASE64_SUFFIX = '?=';
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const UTF8 = new TextDecoder('utf-8', { fatal: true });
const MISSING = '(missing)';

/** Values as they came; undefined when the header is absent. Repeated headers have to be refused before. */
export interface McpHeaders {
  readonly mcpMethod: string | undefined;
  readonly mcpName: string | undefined;
  readonly protocolVersion: string | undefined;
}

export type HeaderFault =
  | 'version-mismatch'
  | 'version-missing'
  | 'method-mismatch'
  | 'method-missing'
  | 'name-mismatch'
  | 'name-missing'
  | 'name-encoding';

/** `message` and `data` are those of the JSON-RPC error, code −32020, HTTP 400. They repeat text of the client's. */
export interface HeaderDisagreement {
  readonly fault: HeaderFault;
  readonly message: string;
  readonly data: { readonly mismatch: { readonly header: string; readonly body: string } };
}

/** Is this a version of the modern era, known to this gateway or not? */
export function isModernVersion(version: string): boolean {
  return version >= FIRST_MODERN_VERSION;
}

/**
 * What `Mcp-Name` says: the text inside `=?base64?…?=`, or the value itself. Undefined when the Base64 is not
 * canonical or not UTF-8.
 */
export function decodeMcpName(value: string): string | undefined {
  if (!value.startsWith(BASE64_PREFIX) || !value.endsWith(BASE64_SUFFIX)) return value;
  const payload = value.slice(BASE64_PREFIX.length, -BASE64_SUFFIX.length);
  if (payload.length % 4 !== 0 || !BASE64.test(payload)) return undefined;
  try {
    return UTF8.decode(Buffer.from(payload, 'base64'));
  } catch {
    return undefined;
  }
}

/**
 * The first disagreement of a single message with its headers, or undefined. The rules, their order and the texts
 * are those of `@modelcontextprotocol/server` 2.4 (its errors with code −32020), so that a client learns the same with
 * and without a gateway. What that server refuses with another code (an incomplete `_meta`, an unknown version) passes,
 * for the server to refuse. Legacy messages always pass: mcp-remote sends `Mcp-Method` on them.
 *
 * Two things differ, both where that server refuses the request anyway: `initialize` with a modern version in the
 * header alone passes; and a method or name that differs counts also in a version that this gateway does not know, or
 * that only the header names, because another server may go by either.
 */
export function headersAgree(headers: McpHeaders, message: RpcMessage): HeaderDisagreement | undefined {
  const { method, protocolVersion: claimed } = message;
  const isRequest = message.type === 'request';
  if (method === undefined || (!isRequest && message.type !== 'notification')) return undefined;
  const version = trim(headers.protocolVersion);
  const mcpMethod = trim(headers.mcpMethod);

  if (claimed === undefined && (version === undefined || !isModernVersion(version))) return undefined;
  if (isRequest && method === 'initialize' && (claimed === undefined || !isModernVersion(claimed))) return undefined;

  const body = isRequest ? 'body' : 'notification';
  if (claimed !== undefined && version !== undefined && version !== claimed) {
    const text = `the ${body} envelope names protocol version ${claimed} but the MCP-Protocol-Version header names ${version}`;
    return disagree('version-mismatch', version, text);
  }
  const methodCounts = isRequest || claimed === undefined || isModernVersion(claimed);
  if (methodCounts && mcpMethod !== undefined && mcpMethod !== method) {
    const text = `the ${isRequest ? 'body' : 'notification body'} names method ${method} but the Mcp-Method header names ${mcpMethod}`;
    return disagree('method-mismatch', mcpMethod, text);
  }
  if (!isRequest) return undefined;

  const mayBeMissing = claimed === undefined || !KNOWN_MODERN_VERSIONS.has(claimed);
  if (version === undefined && !mayBeMissing) {
    const text = `the body envelope names protocol version ${claimed} but the required MCP-Protocol-Version header is absent`;
    return disagree('version-missing', MISSING, text);
  }
  if (mcpMethod === undefined && !mayBeMissing) {
    return disagree('method-missing', MISSING, `the body names method ${method} but the required Mcp-Method header is absent`);
  }
  return nameAgrees(trim(headers.mcpName), method, message, mayBeMissing);
}

function nameAgrees(header: string | undefined, method: string, fields: RpcFields, mayBeMissing: boolean): HeaderDisagreement | undefined {
  const source = NAMED_METHODS.has(method) ? subjectField(method) : undefined;
  if (source === undefined) return undefined;
  const named = fields[source];
  if (header === undefined) {
    if (named === undefined || mayBeMissing) return undefined;
    return disagree('name-missing', MISSING, `the body carries params.${source}="${named}" but the required Mcp-Name header is absent`);
  }
  const decoded = decodeMcpName(header);
  if (decoded === undefined) {
    return disagree('name-encoding', header, 'the Mcp-Name header carries an invalid Base64 sentinel value');
  }
  if (named === undefined || decoded === named) return undefined;
  return disagree('name-mismatch', header, `the body carries params.${source}="${named}" but the Mcp-Name header names "${decoded}"`);
}

function disagree(fault: HeaderFault, header: string, body: string): HeaderDisagreement {
  return { fault, message: `Bad Request: the request headers and body disagree: ${body}`, data: { mismatch: { header, body } } };
}

/** Without the optional white space that may surround a header's value (RFC 9110, section 5.5): spaces and tabs. */
function trim(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  let start = 0;
  let end = value.length;
  while (start < end && (value[start] === ' ' || value[start] === '\t')) start += 1;
  while (end > start && (value[end - 1] === ' ' || value[end - 1] === '\t')) end -= 1;
  return value.slice(start, end);
}
