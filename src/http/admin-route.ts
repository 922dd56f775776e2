// What a route of the admin address is, and how it reads its query.

import { z } from 'zod';
import type { AdminAnswer } from './admin-answer.ts';

const MAX_TEXT_CHARS = 1_024;

/** `name` is the part of the path that the route's pattern captures; `signal` aborts when whoever asks has gone, or has been answered. */
export type Handler = (query: URLSearchParams, name: string, signal: AbortSignal) => Promise<AdminAnswer> | AdminAnswer;

export interface Route {
  readonly path: RegExp;
  readonly methods: Readonly<Partial<Record<string, Handler>>>;
}

/** What a request may be refused for: thrown, because it ends whatever was being done. */
export class BadQuery extends Error {}

export const text = z.string({ error: 'must be given' }).min(1, 'must not be empty').max(MAX_TEXT_CHARS);
export const noQuery = z.strictObject({});

/** @throws BadQuery also for names that nobody knows: a filter with a typing mistake must not become no filter. */
export function parseQuery<Value>(schema: z.ZodType<Value>, query: URLSearchParams): Value {
  if (new Set(query.keys()).size < query.size) throw new BadQuery('a parameter is given twice');
  const { success, data, error } = schema.safeParse(Object.fromEntries(query));
  if (success) return data;
  throw new BadQuery(error.issues.map(({ path, message }) => [...path, message].join(': ')).join('; '));
}
