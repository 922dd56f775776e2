// The control routes of the admin address: who may use them, what they take, and which use case each one is.

import { z } from 'zod';
import type { BackendControl } from '../control/backends.ts';
import { createTokenCheck } from '../control/control-token.ts';
import type { CallerName, SessionControl } from '../control/sessions.ts';
import { StoreUnavailable } from '../control/store-unavailable.ts';
import type { TenantControl } from '../control/tenants.ts';
import { MAX_LISTED } from '../session/store.ts';
import { adapterRoutes } from './adapter-routes.ts';
import { type AdminAnswer, json, problem } from './admin-answer.ts';
import { BadQuery, noQuery, parseQuery, type Route, text } from './admin-route.ts';

const DEFAULT_LIMIT = 100;

/** The part of a request that decides. `query` is without its question mark. */
export interface ControlRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly authorization: string | undefined;
  readonly origin: string | undefined;
  readonly hasBody: boolean;
  /** Aborts when whoever asks has gone, or has been answered. */
  readonly signal: AbortSignal;
}

export interface ControlRoutesOptions {
  readonly token: string;
  readonly sessions: SessionControl;
  readonly tenants: TenantControl;
  readonly backends: BackendControl;
}

/** Undefined for paths that are no control route. */
export type ControlRoutes = (request: ControlRequest) => Promise<AdminAnswer> | undefined;

/** Whatever else is asked for is no session; it never reaches the store. */
const KEY = /^[\w-]{1,64}$/;

/** Whoever holds the token: it says nothing of which person that is. */
const TOKEN_HOLDER: CallerName = { issuer: 'local', subject: 'control-token' };

const listQuery = z.strictObject({
  backend: text.optional(),
  issuer: text.optional(),
  subject: text.optional(),
  tenant: text.optional(),
  limit: z.coerce.number().int().min(1).max(MAX_LISTED).default(DEFAULT_LIMIT),
});
// Both are needed: nobody ends everything with a parameter that was forgotten.
const callerQuery = z.strictObject({ issuer: text, subject: text });

export function createControlRoutes({ token, sessions, tenants, backends }: ControlRoutesOptions): ControlRoutes {
  const showsToken = createTokenCheck(token);
  const routes: readonly Route[] = [
    ...adapterRoutes(backends, TOKEN_HOLDER),
    {
      path: /^\/sessions$/,
      methods: {
        GET: async (query) => json(200, await sessions.list(parseQuery(listQuery, query))),
        DELETE: async (query) => json(200, { ended: await sessions.endAllOf(parseQuery(callerQuery, query), TOKEN_HOLDER) }),
      },
    },
    {
      path: /^\/sessions\/([^/]+)$/,
      methods: {
        async DELETE(query, key) {
          parseQuery(noQuery, query);
          const ended = KEY.test(key) && (await sessions.end(key, TOKEN_HOLDER));
          return ended ? json(200, { ended: 1 }) : problem(404, `there is no open session ${key}`);
        },
      },
    },
    {
      path: /^\/tenants$/,
      methods: {
        GET(query) {
          parseQuery(noQuery, query);
          return json(200, { tenants: tenants.list() });
        },
      },
    },
    {
      path: /^\/tenants\/([^/]+)$/,
      methods: {
        async GET(query, name) {
          parseQuery(noQuery, query);
          const tenant = await tenants.get(name);
          return tenant ? json(200, tenant) : problem(404, `there is no tenant ${name}`);
        },
      },
    },
  ];

  const answer = async ({ method, path, query, authorization, origin, hasBody, signal }: ControlRequest): Promise<AdminAnswer> => {
    // Browsers say so with whatever a page sends elsewhere; a program that may use these routes is no page.
    if (origin !== undefined) return problem(403, 'web pages may not use this address');
    // Before anything that depends on the path: who has no token learns nothing.
    if (!showsToken(authorization)) return problem(401, 'the control token is missing or wrong', { 'www-authenticate': 'Bearer' });
    const route = routes.find((each) => each.path.test(path));
    if (!route) return problem(404, 'there is nothing under this path');
    const handle = Object.hasOwn(route.methods, method) ? route.methods[method] : undefined;
    if (!handle) return problem(405, `${method} is not possible here`, { allow: Object.keys(route.methods).join(', ') });
    if (hasBody) return problem(413, 'no body is taken here', { connection: 'close' });
    try {
      return await handle(new URLSearchParams(query), route.path.exec(path)?.[1] ?? '', signal);
    } catch (error) {
      if (error instanceof BadQuery) return problem(400, error.message);
      if (error instanceof StoreUnavailable) return problem(503, `${error.message}: try again`);
      throw error;
    }
  };

  return (request) => (/^\/(adapters|sessions|tenants)(\/|$)/.test(request.path) ? answer(request) : undefined);
}
