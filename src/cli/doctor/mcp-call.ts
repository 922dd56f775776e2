// One MCP request over Streamable HTTP, and the JSON-RPC answer to it, out of a JSON body or an event stream.

import { mapSseData } from '../../core/sse.ts';

/** Lists of tools are long; nothing of this size is. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const REQUEST_ID = 'mcp-gateway-doctor';
const HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

export interface McpAnswer {
  readonly status: number;
  readonly session: string | undefined;
  readonly result: Readonly<Record<string, unknown>> | undefined;
  /** The message of a JSON-RPC error, with whatever id: refusals have none. */
  readonly error: string | undefined;
}

export interface McpCall {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
}

/** Notifications get no answer, whatever `method` says. @throws Error when there is no HTTP answer. */
export async function callMcp(method: string, params: unknown, { url, headers, fetch: request, signal }: McpCall): Promise<McpAnswer> {
  const notification = method.startsWith('notifications/');
  const message = { jsonrpc: '2.0', ...(notification ? {} : { id: REQUEST_ID }), method, ...(params === undefined ? {} : { params }) };
  const body = JSON.stringify(message);
  const response = await request(url, { method: 'POST', redirect: 'error', headers: { ...HEADERS, ...headers }, body, signal });
  if (notification) await response.body?.cancel();
  const found = notification ? undefined : await readAnswer(response);
  return {
    status: response.status,
    session: response.headers.get('mcp-session-id') ?? undefined,
    result: found?.result,
    error: found?.error?.message,
  };
}

/** Ends a session; servers need not allow it. */
export async function endSession({ url, headers, fetch: request, signal }: McpCall): Promise<number> {
  const response = await request(url, { method: 'DELETE', redirect: 'error', headers, signal });
  await response.body?.cancel();
  return response.status;
}

interface Rpc {
  readonly id?: unknown;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message?: string };
}

/** A stream may stay open after the answer: it is read until then. */
async function readAnswer(response: Response): Promise<Rpc | undefined> {
  const stream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
  let bytes = Buffer.alloc(0);
  // Leaving the loop early ends the stream.
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length > MAX_ANSWER_BYTES) throw new Error(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    const found = stream ? messagesOf(bytes).find(({ id }) => id === REQUEST_ID) : undefined;
    if (found !== undefined) return found;
  }
  return stream ? undefined : parsed(bytes.toString());
}

function messagesOf(bytes: Buffer): Rpc[] {
  const messages: Rpc[] = [];
  mapSseData(bytes, (data) => {
    const message = parsed(data.toString());
    if (message !== undefined) messages.push(message);
    return data;
  });
  return messages;
}

/** Undefined for what is no object, or not whole yet. */
function parsed(text: string): Rpc | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Rpc) : undefined;
  } catch {
    return undefined;
  }
}
