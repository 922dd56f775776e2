// The requests of the refusal matrix: every kind of MCP request in both eras, as text, so that an id comes back as it was written.

import type { RawHeaders } from '../harness/raw-http.ts';

export const LEGACY_KINDS = [
  'initialize',
  'tools/call',
  'tools/list',
  'resources/read',
  'ping',
  'notification',
  'response',
  'batch',
  'GET',
  'DELETE',
] as const;
export const MODERN_KINDS = ['server/discover', 'tools/call', 'tools/list', 'resources/read', 'notification', 'batch'] as const;

export type Era = 'legacy' | 'modern';
export type Kind = (typeof LEGACY_KINDS)[number] | (typeof MODERN_KINDS)[number];

export interface Message {
  readonly era: Era;
  readonly kind: Kind;
}

/** Every request there is. */
export const MESSAGES: readonly Message[] = [
  ...LEGACY_KINDS.map((kind) => ({ era: 'legacy' as const, kind })),
  ...MODERN_KINDS.map((kind) => ({ era: 'modern' as const, kind })),
];

export const hasBody = ({ kind }: Message): boolean => kind !== 'GET' && kind !== 'DELETE';
/** A single JSON-RPC message with an id, which a refusal gives back. */
export const hasId = ({ kind }: Message): boolean => !['notification', 'batch', 'GET', 'DELETE'].includes(kind);
export const isListedAs = ({ kind }: Message, ...kinds: readonly Kind[]): boolean => kinds.includes(kind);

export interface WireOptions {
  /** Raw JSON. */
  readonly id: string;
  readonly session?: string | undefined;
  readonly tool?: string;
  /** Bytes of white space behind the message. */
  readonly padding?: number;
}

interface WireRequest {
  readonly method: string;
  readonly headers: RawHeaders;
  readonly body: string | undefined;
}

const MODERN = '2026-07-28';
const RESOURCE = 'test://static-text';
const META = `"_meta":{"io.modelcontextprotocol/protocolVersion":"${MODERN}","io.modelcontextprotocol/clientInfo":{"name":"matrix","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`;

/** One request as it goes over the wire; host, length and token are added by who sends it. */
export function wireRequest(message: Message, { id, session, tool = 'test_simple_text', padding = 0 }: WireOptions): WireRequest {
  const { era, kind } = message;
  const method = hasBody(message) ? 'POST' : kind;
  const accept = kind === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream';
  const headers: [string, string][] = [['Accept', accept]];
  if (hasBody(message)) headers.push(['Content-Type', 'application/json']);
  if (session !== undefined && kind !== 'initialize') headers.push(['Mcp-Session-Id', session]);
  if (era === 'legacy') {
    if (kind !== 'initialize') headers.push(['Mcp-Protocol-Version', '2025-11-25']);
    const body = hasBody(message) ? legacyBody(kind, id, tool) + ' '.repeat(padding) : undefined;
    return { method, headers, body };
  }
  const rpc = kind === 'notification' ? 'notifications/cancelled' : kind;
  headers.push(['Mcp-Protocol-Version', MODERN]);
  if (kind !== 'batch') headers.push(['Mcp-Method', rpc]);
  if (kind === 'tools/call') headers.push(['Mcp-Name', tool]);
  if (kind === 'resources/read') headers.push(['Mcp-Name', RESOURCE]);
  return { method, headers, body: modernBody(kind, rpc, id, tool) + ' '.repeat(padding) };
}

function legacyBody(kind: Kind, id: string, tool: string): string {
  const request = (method: string, params: string, as = id): string =>
    `{"jsonrpc":"2.0","id":${as},"method":"${method}","params":{${params}}}`;
  switch (kind) {
    case 'initialize':
      return request(kind, '"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"matrix","version":"1"}');
    case 'tools/call':
      return request(kind, `"name":"${tool}","arguments":{}`);
    case 'resources/read':
      return request(kind, `"uri":"${RESOURCE}"`);
    case 'notification':
      return '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"none"}}';
    case 'response':
      return `{"jsonrpc":"2.0","id":${id},"result":{}}`;
    case 'batch':
      return `[${request('ping', '', '1')},${request('tools/call', `"name":"${tool}","arguments":{}`, '2')}]`;
    default:
      return request(kind, '');
  }
}

function modernBody(kind: Kind, method: string, id: string, tool: string): string {
  const request = (more: string): string => `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{${more}${META}}}`;
  switch (kind) {
    case 'tools/call':
      return request(`"name":"${tool}","arguments":{},`);
    case 'resources/read':
      return request(`"uri":"${RESOURCE}",`);
    case 'notification':
      return `{"jsonrpc":"2.0","method":"${method}","params":{"requestId":"none",${META}}}`;
    case 'batch':
      return `[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${tool}","arguments":{},${META}}}]`;
    default:
      return request('');
  }
}
