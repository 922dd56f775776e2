// The REST interface: who may use it, what a request has to look like, and which operation it is.

import type { Actor } from '../control/actor.ts';
import type { BackendControl } from '../control/backends.ts';
import { ControlRefusal, type RefusalCode } from '../control/refusal.ts';
import type { SessionControl } from '../control/sessions.ts';
import { StoreUnavailable } from '../control/store-unavailable.ts';
import type { TenantControl } from '../control/tenants.ts';
import type { ValuesControl } from '../control/values.ts';
import { adapterOperations } from './adapter-operations.ts';
import { type ApiAnswer, json, problem } from './answer.ts';
import { openApiDocument } from './openapi.ts';
import { type Operation, parseQuery } from './operation.ts';
import { sessionOperations } from './session-operations.ts';
import { tenantOperations } from './tenant-operations.ts';
import { valuesOperations } from './values-operations.ts';

/** The part of a request that decides. `query` is without its question mark. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  /** All of them, in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly origin: string | undefined;
  readonly accept: string | undefined;
  readonly contentType: string | undefined;
  readonly ifMatch: string | undefined;
  readonly hasBody: boolean;
  /** Rejects with ControlRefusal. */
  body(): Promise<string>;
  /** Aborts when whoever asks has gone, or has been answered. */
  readonly signal: AbortSignal;
}

/** Who is asking, or the answer for somebody who may not ask. */
export type Authenticate = () => Actor | ApiAnswer | Promise<Actor | ApiAnswer>;

/** Undefined for paths that are none of this interface. */
export type Rest = (request: ApiRequest, authenticate: Authenticate) => Promise<ApiAnswer> | undefined;

export interface RestOptions {
  readonly sessions: SessionControl;
  readonly tenants: TenantControl;
  readonly backends: BackendControl;
  readonly values: ValuesControl;
}

const STATUS: Readonly<Record<RefusalCode, number>> = {
  invalid: 400,
  forbidden: 403,
  missing: 404,
  exists: 409,
  elsewhere: 409,
  full: 409,
  changed: 412,
  'too-large': 413,
  unavailable: 503,
};

const OURS = /^\/(adapters|sessions|tenants)(\/|$)|^\/(helm-values|openapi\.json)$/;
/** Nobody's revision, so that nothing is changed. */
const NO_REVISION = '';

export function createOperations({ sessions, tenants, backends, values }: RestOptions): readonly Operation[] {
  return [...adapterOperations(backends), ...tenantOperations(tenants), ...sessionOperations(sessions), ...valuesOperations(values)];
}

export function createRest(options: RestOptions): Rest {
  const operations = createOperations(options);
  const document = JSON.stringify(openApiDocument(operations));
  const routes = operations.map((operation) => ({ operation, pattern: patternOf(operation.path) }));

  const perform = async (request: ApiRequest, operation: Operation, name: string, actor: Actor): Promise<ApiAnswer> => {
    const { query, contentType, hasBody, accept, ifMatch, signal } = request;
    if (hasBody && operation.body === undefined) return problem(413, 'no body is taken here', { connection: 'close' });
    // A page can make a browser send anything but this type to another origin without asking.
    if (operation.body && !/^application\/json *(;|$)/i.test(contentType ?? '')) {
      return problem(415, 'the body must be JSON: content-type: application/json', { accept: 'application/json', connection: 'close' });
    }
    try {
      return await operation.handle({
        query: parseQuery(operation.query, new URLSearchParams(query)) as Record<string, never>,
        name,
        actor,
        body: operation.body && parseJson(await request.body()),
        expected: operation.conditional && revisionIn(ifMatch),
        wantsEvents: /\btext\/event-stream\b/.test(accept ?? ''),
        signal,
      });
    } catch (error) {
      return refused(error);
    }
  };

  const answer = async (request: ApiRequest, authenticate: Authenticate): Promise<ApiAnswer> => {
    const { method, path, origin } = request;
    // Browsers say so with whatever a page sends elsewhere; a program that may use these routes is no page.
    if (origin !== undefined) return problem(403, 'web pages may not use this address');
    // Before anything that depends on the path: who has no token learns nothing.
    const actor = await authenticate();
    if ('status' in actor) return actor;
    if (path === '/openapi.json') {
      if (method === 'GET') return { ...json(200, undefined), body: document };
      return problem(405, `${method} is not possible here`, { allow: 'GET' });
    }
    const there = routes.filter(({ pattern }) => pattern.test(path));
    if (there.length === 0) return problem(404, 'there is nothing under this path');
    const found = there.find(({ operation }) => operation.method === method);
    if (!found) {
      const allow = there.map(({ operation }) => operation.method).join(', ');
      return problem(405, `${method} is not possible here`, { allow });
    }
    return perform(request, found.operation, found.pattern.exec(path)?.[1] ?? '', actor);
  };

  return (request, authenticate) => (OURS.test(request.path) ? answer(request, authenticate) : undefined);
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/\{\w+\}/, '([^/]+)')}$`);
}

/** @throws what is no refusal. */
export function refused(error: unknown): ApiAnswer {
  if (error instanceof ControlRefusal) {
    const { code, message, problems } = error;
    const retry: Record<string, string> = code === 'unavailable' ? { 'retry-after': '1' } : {};
    return problem(STATUS[code], message, retry, { code, ...(problems.length > 0 && { errors: problems }) });
  }
  if (error instanceof StoreUnavailable)
    return problem(503, `${error.message}: try again`, { 'retry-after': '1' }, { code: 'unavailable' });
  throw error;
}

/** RFC 9110, section 13.1.1. A list, or a weak tag, is no revision that anybody was given. */
function revisionIn(ifMatch: string | undefined): string | undefined {
  if (ifMatch === undefined || ifMatch.trim() === '*') return undefined;
  return /^\s*"([\w-]+)"\s*$/.exec(ifMatch)?.[1] ?? NO_REVISION;
}

function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    // The rest of what it says quotes the body, which may hold secrets.
    const [at = ''] = / at position \d+/.exec((error as Error).message) ?? [];
    throw new ControlRefusal('invalid', `the body is not JSON${at}`);
  }
}
