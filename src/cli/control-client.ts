// How commands reach the gateway of a home: where it says that it is, with the token that lies beside that note.

import { get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { readAnnouncement } from '../app/announcement.ts';
import { readToken } from '../control/control-token.ts';
import { printable } from './table.ts';

/** Above what the gateway itself waits for its store. */
const TIMEOUT_MS = 15_000;

/** `path` are the segments of the resource; a `query` without a value is left out. Rejects with one line. */
export type Ask = (path: readonly string[], query?: Readonly<Record<string, string | undefined>>) => Promise<unknown>;

export interface ControlClient {
  readonly get: Ask;
  readonly post: Ask;
  readonly delete: Ask;
  /** Text, as it comes. Ends when the gateway ends it, or `signal` aborts. Rejects as the others do. */
  readonly read: (path: readonly string[], query: Readonly<Record<string, string>>, signal: AbortSignal) => AsyncGenerator<string>;
}

/** @throws Error with one line that says what to do when no gateway runs there. */
export async function connectControl(home: string, request: typeof fetch = fetch): Promise<ControlClient> {
  const announced = await readAnnouncement(home);
  if (!announced) throw new Error(`no gateway runs in ${home}: start it with "mcp-gateway up", or name its folder with --home`);
  const tokenFile = join(home, 'token');
  const token = await readToken(tokenFile);
  if (token === undefined) throw new Error(`${tokenFile} is missing: restart the gateway of ${home} to get a new one`);
  const { admin } = announced;

  const headers = { authorization: `Bearer ${token}` };

  const urlOf = (path: readonly string[], query: Parameters<Ask>[1] = {}): URL => {
    const url = new URL(`/${path.map(encodeURIComponent).join('/')}`, admin);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    return url;
  };

  const refused = (status: number, body: string): Refused =>
    status === 401
      ? new Refused(`the gateway at ${admin} does not take the token of ${tokenFile}: restart it`)
      : new Refused(detailOf(body) ?? `the gateway at ${admin} answers ${status}`);

  const explained = (error: unknown): Error => {
    if (error instanceof Refused) return error;
    const why = (error as Error).name === 'TimeoutError' ? `within ${TIMEOUT_MS / 1000} s` : `at ${admin}`;
    return new Error(`the gateway of ${home} does not answer ${why}: see ${join(home, 'logs')}`, { cause: error });
  };

  const ask = async (method: string, path: readonly string[], query: Parameters<Ask>[1]): Promise<unknown> => {
    try {
      const answer = await request(urlOf(path, query), { method, headers, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
      const body = await answer.text();
      if (!answer.ok) throw refused(answer.status, body);
      return JSON.parse(body);
    } catch (error) {
      throw explained(error);
    }
  };

  async function* read(path: readonly string[], query: Readonly<Record<string, string>>, signal: AbortSignal): AsyncGenerator<string> {
    try {
      // Not by fetch, which gives up after five minutes of silence.
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        get(urlOf(path, query), { headers, signal }, resolve).on('error', reject);
      });
      answer.setEncoding('utf8');
      if (answer.statusCode !== 200) {
        let body = '';
        for await (const text of answer) body += text;
        throw refused(answer.statusCode ?? 0, body);
      }
      for await (const text of answer) yield text as string;
    } catch (error) {
      if (!signal.aborted) throw explained(error);
    }
  }

  return {
    get: (path, query) => ask('GET', path, query),
    post: (path, query) => ask('POST', path, query),
    delete: (path, query) => ask('DELETE', path, query),
    read,
  };
}

/** The gateway has answered, and says why not. */
class Refused extends Error {}

/** The sentence of problem details. */
function detailOf(body: string): string | undefined {
  try {
    const { detail } = JSON.parse(body) as { readonly detail?: unknown };
    return typeof detail === 'string' ? printable(detail) : undefined;
  } catch {
    return undefined;
  }
}
