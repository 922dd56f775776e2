// An HTTP/1.1 client on a bare socket: sends exactly the given bytes, shows exactly the bytes that come back, and when.

import { connect, type Socket } from 'node:net';

const CRLF = '\r\n';
const MAX_SILENCE_MS = 60_000;

/** Names and values as they are on the wire; the same name may come twice. */
export type RawHeaders = readonly (readonly [name: string, value: string])[];

export interface RawRequest {
  readonly method?: string;
  /** Host and port are taken from it, the path too. */
  readonly url: string;
  readonly headers?: RawHeaders;
  /** A list of buffers is sent with chunked encoding, one chunk each; a single buffer with Content-Length. */
  readonly body?: string | Buffer | readonly Buffer[];
  /** Do not add Host, Content-Length and Connection. */
  readonly bare?: boolean;
  /** How long a reader of the response waits for the next byte. Default: a minute. */
  readonly maxSilenceMs?: number;
}

/** A response whose head has come; the body is still on its way. */
export interface RawResponse {
  readonly status: number;
  readonly headers: RawHeaders;
  /** @returns the only value of a header. @throws when it is there twice. */
  header(name: string): string | undefined;
  /** The decoded body in the pieces in which it came. Ends with an error when the connection ends before the body. */
  chunks(): AsyncGenerator<{ readonly data: Buffer; readonly at: number }>;
  /** The whole decoded body. */
  body(): Promise<Buffer>;
  readonly socket: Socket;
}

/** Sends one request on a connection of its own and waits for the head of the response. */
export async function sendRaw(request: RawRequest): Promise<RawResponse> {
  const { hostname, port, host, pathname, search } = new URL(request.url);
  const socket = connect({ host: hostname, port: Number(port || 80) });
  socket.setNoDelay(true);
  const reader = createReader(socket, request.maxSilenceMs ?? MAX_SILENCE_MS);
  const body = request.body;
  const bodyHeaders: [string, string][] = [];
  if (Array.isArray(body)) bodyHeaders.push(['Transfer-Encoding', 'chunked']);
  else if (body !== undefined) bodyHeaders.push(['Content-Length', String(Buffer.byteLength(body as string | Buffer))]);
  const headers = request.bare === true ? (request.headers ?? []) : [['Host', host], ...bodyHeaders, ...(request.headers ?? [])];
  socket.write([`${request.method ?? 'POST'} ${pathname}${search} HTTP/1.1`, ...headers.map(([n, v]) => `${n}: ${v}`), '', ''].join(CRLF));
  if (Array.isArray(body)) {
    for (const chunk of body as readonly Buffer[]) {
      socket.write(`${chunk.length.toString(16)}${CRLF}`);
      socket.write(chunk);
      socket.write(CRLF);
    }
    socket.write(`0${CRLF}${CRLF}`);
  } else if (body !== undefined) socket.write(body as string | Buffer);
  return readResponse(reader, socket);
}

/** Reads the next response of a connection; a 100 Continue before it is skipped. */
async function readResponse(reader: Reader, socket: Socket): Promise<RawResponse> {
  const head = (await reader.until(`${CRLF}${CRLF}`)).toString('latin1');
  const [statusLine = '', ...lines] = head.split(CRLF);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1]);
  if (status === 100) return readResponse(reader, socket);
  const headers = lines
    .filter((line) => line !== '')
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as const);
  const all = (name: string) => headers.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value);

  async function* chunks(): AsyncGenerator<{ data: Buffer; at: number }> {
    if (all('transfer-encoding').includes('chunked')) {
      for (;;) {
        const size = Number.parseInt((await reader.until(CRLF)).toString('latin1'), 16);
        const data = await reader.exactly(size);
        await reader.until(CRLF);
        if (size === 0) return;
        yield { data, at: Date.now() };
      }
    }
    let left = Number(all('content-length')[0] ?? 0);
    while (left > 0) {
      const data = await reader.some(left);
      left -= data.length;
      yield { data, at: Date.now() };
    }
  }

  return {
    status,
    headers,
    socket,
    header(name) {
      const values = all(name);
      if (values.length > 1) throw new Error(`header ${name} came ${values.length} times: ${values.join(' | ')}`);
      return values[0];
    },
    chunks,
    async body() {
      const parts: Buffer[] = [];
      for await (const { data } of chunks()) parts.push(data);
      socket.destroy();
      return Buffer.concat(parts);
    },
  };
}

interface Reader {
  until(end: string): Promise<Buffer>;
  exactly(length: number): Promise<Buffer>;
  some(atMost: number): Promise<Buffer>;
}

function createReader(socket: Socket, maxSilenceMs: number): Reader {
  let buffer: Buffer = Buffer.alloc(0);
  let ended: Error | undefined;
  let wake = (): void => {};
  socket.on('data', (chunk: Buffer) => {
    buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk]);
    wake();
  });
  const end = (error: Error): void => {
    ended ??= error;
    wake();
  };
  socket.on('error', end);
  socket.on('close', () => end(new Error('the connection was closed')));
  const more = async (): Promise<void> => {
    if (ended !== undefined) throw ended;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      wake = resolve;
      timer = setTimeout(() => reject(new Error(`no byte for ${maxSilenceMs} ms`)), maxSilenceMs);
    }).finally(() => clearTimeout(timer));
  };
  const take = (length: number): Buffer => {
    const taken = buffer.subarray(0, length);
    buffer = buffer.subarray(length);
    return taken;
  };
  return {
    async until(mark) {
      for (;;) {
        const index = buffer.indexOf(mark);
        if (index >= 0) return take(index + mark.length);
        await more();
      }
    },
    async exactly(length) {
      while (buffer.length < length) await more();
      return take(length);
    },
    async some(atMost) {
      while (buffer.length === 0) await more();
      return take(Math.min(atMost, buffer.length));
    },
  };
}
