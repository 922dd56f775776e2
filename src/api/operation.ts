// What an operation of the REST interface is: its place, what it takes and answers, as the OpenAPI document says it and the server checks it.

import { z } from 'zod';
import type { Actor } from '../control/actor.ts';
import { ControlRefusal, fieldProblems, invalid } from '../control/refusal.ts';
import type { ApiAnswer } from './answer.ts';

const MAX_TEXT_CHARS = 1_024;
const MAX_PAGE = 1_000;

/** One call of an operation, by somebody who is known. */
export interface Call<Query = Readonly<Record<string, never>>> {
  readonly query: Query;
  /** The part of the path in braces; empty when there is none. */
  readonly name: string;
  readonly actor: Actor;
  /** Parsed JSON; undefined when nothing was sent. */
  readonly body: unknown;
  /** The revision that the caller wants to change; undefined: whichever there is. */
  readonly expected: string | undefined;
  /** Whether events are asked for rather than text. */
  readonly wantsEvents: boolean;
  /** Aborts when whoever asks has gone, or has been answered. */
  readonly signal: AbortSignal;
}

export interface Operation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With one part in braces at most: `/adapters/{name}/logs`. */
  readonly path: string;
  /** Its name in the document, and in clients that are generated from it. */
  readonly id: string;
  readonly summary: string;
  /** What its summary leaves open. */
  readonly description?: string;
  readonly query: z.ZodObject;
  /** Undefined: it takes none. */
  readonly body?: z.ZodType;
  /** Whether `If-Match` is looked at. */
  readonly conditional?: true;
  /** Answers that are no problem; undefined: without a body. `text` is for what is not JSON. */
  readonly answers: Readonly<Record<number, z.ZodType | 'text' | undefined>>;
  /** Headers of answers that are no problem. */
  readonly headers?: readonly AnswerHeader[];
  readonly handle: (call: Call) => Promise<ApiAnswer> | ApiAnswer;
}

/** `ETag`: the revision. `Location`: what is new. `Link`: the next page, if there is one. */
export type AnswerHeader = 'ETag' | 'Location' | 'Link';

/** Keeps the type of the query between its schema and the handler. */
export function operation<Query extends z.ZodObject>(
  row: Omit<Operation, 'query' | 'handle'> & {
    readonly query?: Query;
    readonly handle: (call: Call<z.output<Query>>) => Promise<ApiAnswer> | ApiAnswer;
  },
): Operation {
  return { ...row, query: row.query ?? noQuery, handle: row.handle as Operation['handle'] };
}

export const text = z.string({ error: 'must be given' }).min(1, 'must not be empty').max(MAX_TEXT_CHARS);
const noQuery = z.strictObject({});
export const flag = z.enum(['true', 'false']).default('false');
/** In digits alone: what is empty, or written in some other way, is more likely a mistake than a number. */
export const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.int().min(least).max(most));
/** The key of a session. Whatever else is asked for is none; it never reaches the store. */
export const sessionKey = z
  .string()
  .regex(/^[\w-]{1,64}$/)
  .describe('The key of a session, from the list of sessions.');
/** Of a list: `after` is the name of the last one that has been seen. */
export const page = {
  limit: wholeNumber(1, MAX_PAGE).default(MAX_PAGE).describe('How many are listed at most. The `Link` header leads to the next ones.'),
  after: text.optional().describe('Lists what comes after the one with this name.'),
};

/** @throws ControlRefusal also for names that nobody knows: a filter with a typing mistake must not become no filter. */
export function parseQuery(schema: z.ZodObject, query: URLSearchParams): unknown {
  if (new Set(query.keys()).size < query.size) throw new ControlRefusal('invalid', 'a parameter is given twice');
  const { success, data, error } = schema.safeParse(Object.fromEntries(query));
  if (!success) throw invalid(fieldProblems(error));
  return data;
}

/** One page of a list, and where the next one is (RFC 8288). */
export function paged<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
  { limit, after }: { readonly limit: number; readonly after?: string | undefined },
  path: string,
): { readonly items: readonly Item[]; readonly headers: Readonly<Record<string, string>> } {
  const from = after === undefined ? 0 : items.findIndex((item) => nameOf(item) === after) + 1;
  if (after !== undefined && from === 0) throw new ControlRefusal('invalid', `after: there is no ${after} in this list: begin anew`);
  const found = items.slice(from, from + limit);
  const last = found.at(-1);
  if (last === undefined || from + limit >= items.length) return { items: found, headers: {} };
  const next = `${path}?${new URLSearchParams({ limit: String(limit), after: nameOf(last) }).toString()}`;
  return { items: found, headers: { link: `<${next}>; rel="next"` } };
}
