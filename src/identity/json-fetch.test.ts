// The limits of what is read from an identity provider.

import { expect, it } from 'vitest';
import { fetchJson } from './json-fetch.ts';

const url = 'https://a.example/keys';
const { signal } = new AbortController();
const redirect = (location: string) => new Response('', { status: 302, headers: { location } });

/** The document, or the message of the error. */
async function read(answer: (url: string) => Response | Promise<Response>) {
  const asked: string[] = [];
  const answering: typeof fetch = async (input) => {
    asked.push(String(input));
    return answer(String(input));
  };
  const outcome = await fetchJson(url, { fetch: answering, signal }).catch((error: Error) => error.message);
  return { outcome, asked };
}

it('a document, also after redirects within its origin', async () => {
  expect((await read(() => new Response('{"a":1}'))).outcome).toEqual({ a: 1 });
  const moved = await read((at) => (at === url ? redirect('/new') : new Response('{"a":1}')));
  expect(moved).toEqual({ outcome: { a: 1 }, asked: [url, 'https://a.example/new'] });
});

it.each<[string, (url: string) => Response | Promise<Response>, string]>([
  ['another origin', () => redirect('https://b.example/keys'), 'redirects to another origin, https://b.example'],
  ['plain HTTP', () => redirect('http://a.example/keys'), 'redirects to another origin, http://a.example'],
  ['a circle', () => redirect(url), 'redirects too often'],
  ['an error page', () => new Response('{}', { status: 500 }), 'status 500'],
  ['a redirect to nowhere', () => new Response('', { status: 302 }), 'status 302'],
  ['no JSON', () => new Response('<html>secret'), 'not JSON'],
  ['nothing', () => new Response(null), 'not JSON'],
  ['no end', () => new Response(endless()), 'larger than 262144 bytes'],
  ['no server', () => Promise.reject(new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } })), 'ECONNREFUSED'],
])('%s is an error that says so', async (_what, answer, problem) => {
  expect((await read(answer)).outcome).toBe(`${url}: ${problem}`);
});

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(32)) });
}
