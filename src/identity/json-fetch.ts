// Reads one JSON document of an identity provider over HTTP, within limits of size and of where it may come from.

/** Large providers publish a dozen keys with their certificates: some 20 KiB. */
const MAX_DOCUMENT_BYTES = 256 * 1024;
const MAX_REDIRECTS = 3;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export interface JsonFetchOptions {
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
}

/** @throws Error that says in a few words why there is no such document. */
export async function fetchJson(url: string, options: JsonFetchOptions): Promise<unknown> {
  try {
    const response = await follow(url, options);
    return JSON.parse(await readText(response)) as unknown;
  } catch (error) {
    throw new Error(`${url}: ${reasonOf(error)}`, { cause: error });
  }
}

/** An open redirect of the provider must not let others give it keys: only its own origin may be led to. */
async function follow(url: string, { fetch, signal }: JsonFetchOptions): Promise<Response> {
  let at = new URL(url);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await fetch(at.href, { signal, redirect: 'manual', headers: { accept: 'application/json' } });
    if (response.status === 200) return response;
    await response.body?.cancel();
    const location = response.headers.get('location');
    if (!REDIRECTS.has(response.status) || location === null) throw new Error(`status ${response.status}`);
    const next = new URL(location, at);
    if (next.origin !== at.origin) throw new Error(`redirects to another origin, ${next.origin}`);
    at = next;
  }
  throw new Error('redirects too often');
}

async function readText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early ends the stream.
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_DOCUMENT_BYTES) throw new Error(`larger than ${MAX_DOCUMENT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** `fetch failed` says nothing; its cause does. The parser's own words would put the document into the log. */
function reasonOf(error: unknown): string {
  if (error instanceof SyntaxError) return 'not JSON';
  const { message, cause } = error as Error;
  const { code, message: inner } = (cause ?? {}) as NodeJS.ErrnoException;
  return code ?? inner ?? message;
}
