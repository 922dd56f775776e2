// The REST interface as programs use it: one request, with everything of its answer visible.

const TIMEOUT_MS = 60_000;

export interface RestAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body, parsed; undefined when it is no JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at what they expect, and fail where it is not.
  readonly json: any;
}

export interface RestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; a string as it is. */
  readonly body?: unknown;
}

export type Rest = (line: string, options?: RestOptions) => Promise<RestAnswer>;

/** @returns a function that takes a line like `GET /adapters`. `always` stands in each request. */
export function restAt(base: string, always: Readonly<Record<string, string>> = {}): Rest {
  return async (line, { headers = {}, body } = {}) => {
    const [method = '', path = ''] = line.split(' ');
    const response = await fetch(`${base}${path}`, {
      method,
      redirect: 'manual',
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...always, ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    const isJson = /^application\/(problem\+)?json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, text, json: isJson && text !== '' ? JSON.parse(text) : undefined };
  };
}
