// The operations on sessions: which are open, where and whose, and ending one or all of a caller.

import { z } from 'zod';
import type { SessionControl } from '../control/sessions.ts';
import { MAX_LISTED } from '../session/store.ts';
import { json } from './answer.ts';
import { type Operation, operation, text, wholeNumber } from './operation.ts';
import { ended, sessionList } from './schemas.ts';

const DEFAULT_LIMIT = 100;

const listQuery = z.strictObject({
  backend: text.optional().describe('Only sessions with this backend.'),
  issuer: text.optional().describe('Only sessions of callers whose tokens are from this issuer.'),
  subject: text.optional().describe('Only sessions of this subject.'),
  tenant: text.optional().describe('Only sessions that count for this tenant.'),
  limit: wholeNumber(1, MAX_LISTED).default(DEFAULT_LIMIT).describe('How many are listed at most; `more` tells whether there are others.'),
  after: text.optional().describe('Lists what comes after the one with this key.'),
});
// Both are needed: nobody ends everything with a parameter that was forgotten.
const callerQuery = z.strictObject({
  issuer: text.describe('Who issued the tokens of the caller.'),
  subject: text.describe('Whom they are for.'),
});

export function sessionOperations(sessions: SessionControl): readonly Operation[] {
  return [
    operation({
      method: 'GET',
      path: '/sessions',
      id: 'listSessions',
      summary: 'List open sessions, the one that was used last first',
      query: listQuery,
      answers: { 200: sessionList },
      async handle({ query, actor }) {
        const found = await sessions.list(query, actor);
        const last = found.sessions.at(-1);
        if (!found.more || !last) return json(200, found);
        const { after: _, limit, ...filter } = query;
        const given = Object.entries(filter).filter((entry): entry is [string, string] => entry[1] !== undefined);
        const next = new URLSearchParams([...given, ['limit', String(limit)], ['after', last.key]]);
        return json(200, found, { link: `</sessions?${next.toString()}>; rel="next"` });
      },
    }),
    operation({
      method: 'DELETE',
      path: '/sessions',
      id: 'endSessionsOfCaller',
      summary: 'End all sessions that a caller has begun until now',
      description:
        'Both parameters are needed. What the caller begins in the same second is refused, too; what it begins later is not touched.',
      query: callerQuery,
      answers: { 200: ended },
      async handle({ query, actor }) {
        return json(200, { ended: await sessions.endAllOf(query, actor) });
      },
    }),
    operation({
      method: 'DELETE',
      path: '/sessions/{key}',
      id: 'endSession',
      summary: 'End one session',
      description: 'Its next request is answered with 404, after which a client opens a new session.',
      answers: { 200: ended },
      async handle({ name: key, actor }) {
        await sessions.end(key, actor);
        return json(200, { ended: 1 });
      },
    }),
  ];
}
