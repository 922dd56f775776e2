// `/admin/mcp`: the gateway's own MCP server, for the same callers and under the same rules as the REST interface.

import type { Actor } from '../control/actor.ts';
import { type ApiAnswer, problem } from './answer.ts';
import { type ApiRequest, type Rest, refused } from './rest.ts';

const PATH = '/admin/mcp';
/** What MCP looks at; the caller's token is none of it. */
const HEADERS = ['accept', 'content-type', 'mcp-protocol-version', 'mcp-session-id', 'mcp-method', 'mcp-name', 'last-event-id'];

/** Takes a request in the name of a caller. */
export type AnswerAs = (request: Request, actor: Actor) => Promise<Response>;

/** The REST interface, and the MCP server beside it. */
export function withMcp(rest: Rest, answerAs: AnswerAs): Rest {
  return (request, authenticate) => {
    if (request.path !== PATH) return rest(request, authenticate);
    return (async () => {
      if (request.origin !== undefined) return problem(403, 'web pages may not use this address');
      const actor = await authenticate();
      if ('status' in actor) return actor;
      // A page can make a browser send anything but this type to another origin without asking.
      if (request.hasBody && !/^application\/json *(;|$)/i.test(request.contentType ?? '')) {
        return problem(415, 'the body must be JSON: content-type: application/json', { accept: 'application/json', connection: 'close' });
      }
      try {
        return answered(await answerAs(await webRequest(request), actor));
      } catch (error) {
        return refused(error);
      }
    })();
  };
}

async function webRequest(request: ApiRequest): Promise<Request> {
  const { method, path, hasBody, headers, signal } = request;
  const kept = HEADERS.flatMap((name): [string, string][] => {
    const value = headers[name];
    return typeof value === 'string' ? [[name, value]] : [];
  });
  // Where it came to is of no interest: Host and Origin have been looked at.
  return new Request(new URL(path, 'http://localhost'), {
    method,
    headers: kept,
    signal,
    ...(hasBody && method !== 'GET' && method !== 'HEAD' ? { body: await request.body() } : {}),
  });
}

function answered({ status, headers, body }: Response): ApiAnswer {
  return {
    status,
    headers: { ...Object.fromEntries(headers), 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' },
    body: body === null ? '' : textOf(body),
  };
}

async function* textOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of body) yield decoder.decode(chunk as Uint8Array, { stream: true });
}
