// What the gateway's own pods ask the controller: to wake a backend, to take their numbers, and whether a pod may go. Not for clients.

import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { createBoundedCache } from '../core/bounded-cache.ts';
import { type ApiAnswer, empty, json, problem } from './answer.ts';

/** A token that was good stays good for so long: each pod asks every few seconds. */
const BELIEVED_MS = 30_000;
const MAX_BODY_BYTES = 4 * 1024 * 1024;
const BEARER = /^Bearer ([\w.~+/-]{1,8192}=*)$/;

/** Whose token it is, as the API server says (TokenReview). */
export interface Reviewed {
  /** `system:serviceaccount:<namespace>:<name>`. */
  readonly username: string;
  /** Of the pod that the token was made for. */
  readonly podUid: string | undefined;
}

const count = z.number().min(0);
const useReport = z.object({
  gateway: z.string().min(1).max(253),
  instances: z.record(z.string().max(128), z.object({ sessions: count, calls: count, idleMs: count })),
  backends: z.record(z.string().max(63), z.object({ idleMs: count, requests: count })),
});
const wakeRequest = z.object({ backend: z.string().regex(/^[a-z][-a-z0-9]{0,49}$/) });
export type UseReportBody = z.output<typeof useReport>;

export interface InternalApiOptions {
  /** Undefined: the token is not good for the controller. Rejects when nobody can say. */
  readonly review: (token: string) => Promise<Reviewed | undefined>;
  /** The service account of the gateway's pods. */
  readonly gatewayAccount: string;
  /** Service accounts of backends begin so. */
  readonly backendAccounts: string;
  readonly wake: (backend: string) => Promise<void>;
  readonly report: (use: UseReportBody) => void;
  /** Undefined: this controller cannot say. */
  readonly mayGo: (podUid: string) => { readonly done: boolean; readonly sessions: number; readonly calls: number } | undefined;
}

/** Undefined: not one of its paths. */
export type InternalApi = (request: IncomingMessage) => Promise<ApiAnswer> | undefined;

export function createInternalApi(options: InternalApiOptions): InternalApi {
  const { review, gatewayAccount, backendAccounts, wake, report, mayGo } = options;
  const believed = createBoundedCache<string, { readonly who: Reviewed; readonly until: number }>(4_096);

  const whoAsks = async ({ headers }: IncomingMessage): Promise<Reviewed | undefined> => {
    const [, token] = BEARER.exec(headers.authorization ?? '') ?? [];
    if (token === undefined) return undefined;
    const key = createHash('sha256').update(token).digest('base64');
    const known = believed.get(key);
    if (known && known.until > performance.now()) return known.who;
    const who = await review(token);
    if (who) believed.set(key, { who, until: performance.now() + BELIEVED_MS });
    return who;
  };

  const answer = async (request: IncomingMessage, path: string): Promise<ApiAnswer> => {
    let who: Reviewed | undefined;
    try {
      who = await whoAsks(request);
    } catch {
      return problem(503, 'the API server cannot say whose token it is');
    }
    if (!who)
      return problem(401, 'a service account’s token for the audience mcp-gateway-controller is needed', { 'www-authenticate': 'Bearer' });
    const { method } = request;
    if (path.startsWith('/internal/drain/')) {
      if (method !== 'GET') return problem(405, 'GET is needed', { allow: 'GET' });
      const uid = path.slice('/internal/drain/'.length);
      // Each pod speaks for itself: how others are used is none of its business.
      const own = who.podUid === uid && who.username.startsWith(backendAccounts);
      if (!own && who.username !== gatewayAccount) return problem(403, 'a pod may ask about itself only');
      const said = mayGo(uid);
      return said ? json(200, said) : problem(503, 'this controller has not heard from the gateways yet');
    }
    if (who.username !== gatewayAccount) return problem(403, 'this is for the gateway’s pods');
    if (method !== 'POST') return problem(405, 'POST is needed', { allow: 'POST' });
    const body = await bodyOf(request);
    if (path === '/internal/wake') {
      const read = wakeRequest.safeParse(body);
      if (!read.success) return problem(400, 'a backend is needed: { "backend": "name" }');
      await wake(read.data.backend);
      return empty(202);
    }
    const read = useReport.safeParse(body);
    if (!read.success) return problem(400, 'this is no report of a gateway');
    report(read.data);
    return empty(204);
  };

  return (request) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const known = path === '/internal/wake' || path === '/internal/sessions' || path.startsWith('/internal/drain/');
    return known ? answer(request, path) : undefined;
  };
}

/** Undefined for what is no JSON, or too large. */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > MAX_BODY_BYTES) return undefined;
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString('utf8'));
  } catch {
    return undefined;
  }
}
