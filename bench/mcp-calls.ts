// What the generator sends and what must come back: legacy MCP over HTTP/1.1, prepared once, so that a call costs a few bytes of work.

/** Neither side takes a message above this. */
export const MAX_MESSAGE_CHARS = 65_536;
/** The upstream's session ids begin with the name of their pod: `pod40123.<uuid>`. */
export const SESSION_SEPARATOR = '.';

/** The id of a request has eight digits at a known place, so that it can be written into the finished request. */
const ID_DIGITS = 8;
const FIRST_ID = 10_000_000;
const LAST_ID = 99_999_999;
const BODY_START = '{"jsonrpc":"2.0","id":';
const PAYLOAD_CHARS = 64;

/** Where a variant is reached. */
export interface Target {
  readonly port: number;
  readonly path: string;
  /** Bearer tokens of its callers, each of a subject of its own; undefined where nobody asks for one. */
  readonly tokens?: readonly string[];
}

export interface Session {
  /** As the client sees it. */
  readonly id: string;
  /** As the upstream made it. */
  readonly upstreamId: string;
  readonly pod: string;
  /** Where requests of this session go. */
  readonly target: Target;
  /** Of the caller who opened it: nobody else finds it. */
  readonly token: string | undefined;
}

/** One kind of request that can be sent again and again with another id. */
export interface Call {
  /** The bytes to write. @returns the id that is in them now. */
  prepare(): number;
  readonly bytes: Buffer;
  readonly target: Target;
  /** Why the answer is not the one that belongs to the request with this id; undefined when it is. */
  wrong(id: number, head: string, body: string): string | undefined;
}

/** How the answers to a caller with a token begin to say where the quotas stand. */
const QUOTAS = '\r\nratelimit: "';

let lastId = FIRST_ID;

/** `tools/call` of the tool `echo`, in one session, with a payload that only this session sends. */
export function toolCall(session: Session, number: number): Call {
  const text = `payload ${number} of ${session.upstreamId} `.padEnd(PAYLOAD_CHARS, 'abcdefghijklmnopqrstuvwxyz').slice(0, PAYLOAD_CHARS);
  const rest = `,"method":"tools/call","params":{"name":"echo","arguments":{"text":"${text}"}}}`;
  const headers = `${bearer(session.token)}mcp-session-id: ${session.id}\r\nmcp-protocol-version: 2025-06-18\r\n`;
  const call = createRequest(session.target, headers, rest);
  const result = `,"result":{"content":[{"type":"text","text":"${text}"}],"structuredContent":{"pod":"${session.pod}","session":"${session.upstreamId}"}}}`;
  const header = `\r\nmcp-session-id: ${session.id}\r\n`;
  return {
    ...call,
    wrong(id, head, body) {
      if (!head.startsWith('HTTP/1.1 200 ')) return `status: ${head.slice(0, head.indexOf('\r\n'))} ${body.slice(0, 200)}`;
      if (body !== BODY_START + id + result) return `body: ${body.slice(0, 300)}`;
      if (!head.includes(header)) return `session id on the answer: ${head}`;
      if (session.token !== undefined && !head.includes(QUOTAS)) return `no quotas on the answer: ${head}`;
      return undefined;
    },
  };
}

/** `initialize`, one for each caller of the target; `opened` gets the session of every good answer. */
export function initializeCalls(target: Target, opened: (session: Session) => void): Call[] {
  return (target.tokens ?? [undefined]).map((token) => initializeCall(target, token, opened));
}

function initializeCall(target: Target, token: string | undefined, opened: (session: Session) => void): Call {
  const params = { protocolVersion: '2025-06-18', capabilities: { roots: {} }, clientInfo: { name: 'bench', version: '1.0.0' } };
  const call = createRequest(target, bearer(token), `,"method":"initialize","params":${JSON.stringify(params)}}`);
  return {
    ...call,
    wrong(id, head, body) {
      if (!head.startsWith('HTTP/1.1 200 ')) return `status: ${head.slice(0, head.indexOf('\r\n'))} ${body.slice(0, 200)}`;
      const sessionId = /\r\nmcp-session-id: (\S+)\r\n/.exec(head)?.[1];
      const message = JSON.parse(body) as { id?: unknown; result?: { _meta?: { pod?: string; session?: string } } };
      const { pod, session } = message.result?._meta ?? {};
      if (message.id !== id || pod === undefined || session === undefined || !session.startsWith(pod + SESSION_SEPARATOR))
        return `body: ${body.slice(0, 300)}`;
      if (sessionId === undefined) return `no session id: ${head}`;
      opened({ id: sessionId, upstreamId: session, pod, target, token });
      return undefined;
    },
  };
}

function bearer(token: string | undefined): string {
  return token === undefined ? '' : `authorization: Bearer ${token}\r\n`;
}

function createRequest(target: Target, headers: string, afterId: string): Pick<Call, 'prepare' | 'bytes' | 'target'> {
  const head = [
    `POST ${target.path} HTTP/1.1`,
    `host: 127.0.0.1:${target.port}`,
    'user-agent: mcp-gateway-bench/1',
    'accept: application/json, text/event-stream',
    'content-type: application/json',
    `${headers}content-length: ${BODY_START.length + ID_DIGITS + afterId.length}`,
  ].join('\r\n');
  const bytes = Buffer.from(`${head}\r\n\r\n${BODY_START}${'0'.repeat(ID_DIGITS)}${afterId}`, 'latin1');
  const idAt = head.length + 4 + BODY_START.length;
  return {
    bytes,
    target,
    prepare() {
      lastId = lastId === LAST_ID ? FIRST_ID : lastId + 1;
      bytes.write(String(lastId), idAt, 'latin1');
      return lastId;
    },
  };
}
