// A legacy MCP client reduced to what the proofs need: one POST per message, with everything visible.

const REQUEST_TIMEOUT_MS = 60_000;
export const PROTOCOL_VERSION = '2025-11-25';

/** A JSON-RPC response. */
export interface RpcAnswer {
  readonly jsonrpc?: string;
  readonly id?: string | number | null;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

/** An HTTP response with the JSON-RPC messages in it. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The messages of the body, JSON or SSE; empty when the body is neither. */
  readonly messages: readonly RpcAnswer[];
}

/** Posts one message (an object is serialised, a string or buffer is sent as it is). */
export async function post(url: string, message: unknown, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
    body: typeof message === 'string' || message instanceof Uint8Array ? (message as string) : JSON.stringify(message),
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, messages: parseMessages(response.headers.get('content-type'), text) };
}

function parseMessages(contentType: string | null, text: string): RpcAnswer[] {
  if (contentType?.startsWith('application/json') === true) {
    const parsed: unknown = JSON.parse(text);
    return (Array.isArray(parsed) ? parsed : [parsed]) as RpcAnswer[];
  }
  if (contentType?.startsWith('text/event-stream') !== true) return [];
  return text
    .split(/\r?\n\r?\n/)
    .map((event) =>
      event
        .split(/\r?\n/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).trimStart())
        .join('\n'),
    )
    .filter((data) => data !== '')
    .map((data) => JSON.parse(data) as RpcAnswer);
}

/** What the counter server's tools tell about themselves. */
export interface ToolReport {
  readonly pid: number;
  readonly session: string | null;
  readonly calls: number;
  readonly [key: string]: unknown;
}

/** A refused or failed call, with everything that a test may ask about it. */
export class CallFailed extends Error {
  readonly answer: HttpAnswer;
  readonly rpc: RpcAnswer | undefined;

  constructor(answer: HttpAnswer, rpc: RpcAnswer | undefined) {
    super(`HTTP ${answer.status}: ${answer.text.slice(0, 500)}`);
    this.answer = answer;
    this.rpc = rpc;
  }
}

/** One legacy session. */
export interface Session {
  readonly url: string;
  /** What the gateway (or server) gave as `Mcp-Session-Id`. */
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sends any request of this session. */
  send(message: unknown, headers?: Readonly<Record<string, string>>): Promise<HttpAnswer>;
  /** Calls a tool of the counter server and returns its report. @throws CallFailed */
  call(tool: string, args?: Readonly<Record<string, unknown>>): Promise<ToolReport>;
  /** Opens the GET stream. */
  stream(signal: AbortSignal, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** Ends the session. @returns the status. */
  end(): Promise<number>;
}

/** How a session is opened. `clientName` marks it in the journal of the counter server. */
export interface SessionOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly protocolVersion?: string;
  readonly clientName?: string;
}

/** Opens a session: initialize, then notifications/initialized. @throws CallFailed */
export async function openSession(
  url: string,
  { headers: extra = {}, protocolVersion = PROTOCOL_VERSION, clientName = 'proof' }: SessionOptions = {},
): Promise<Session> {
  const clientInfo = { name: clientName, version: '1.0.0' };
  const opened = await post(
    url,
    { jsonrpc: '2.0', id: 'initialize', method: 'initialize', params: { protocolVersion, capabilities: { roots: {} }, clientInfo } },
    extra,
  );
  const id = opened.headers.get('mcp-session-id');
  if (opened.status !== 200 || id === null || opened.messages[0]?.result === undefined) throw new CallFailed(opened, opened.messages[0]);
  const headers = { 'mcp-session-id': id, 'mcp-protocol-version': protocolVersion, ...extra };
  const initialized = await post(url, { jsonrpc: '2.0', method: 'notifications/initialized' }, headers);
  if (initialized.status !== 202) throw new CallFailed(initialized, initialized.messages[0]);

  let lastId = 0;
  const session: Session = {
    url,
    id,
    headers,
    send: (message, more = {}) => post(url, message, { ...headers, ...more }),
    async call(name, args = {}) {
      lastId += 1;
      const rpcId = lastId;
      const answer = await session.send({ jsonrpc: '2.0', id: rpcId, method: 'tools/call', params: { name, arguments: args } });
      const rpc = answer.messages.find((message) => message.id === rpcId);
      const result = rpc?.result as { content?: { text: string }[]; isError?: boolean } | undefined;
      const text = result?.content?.[0]?.text;
      if (answer.status !== 200 || text === undefined || result?.isError === true) throw new CallFailed(answer, rpc);
      return JSON.parse(text) as ToolReport;
    },
    stream: (signal, more = {}) => fetch(url, { headers: { accept: 'text/event-stream', ...headers, ...more }, signal }),
    async end() {
      const response = await fetch(url, { method: 'DELETE', headers, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
      await response.arrayBuffer();
      return response.status;
    },
  };
  return session;
}
