// The parts that operations share in the OpenAPI document: refusals, headers, parameters of paths, and what a tag is about.

import { z } from 'zod';
import { resourceName } from '../config/backend-spec.ts';
import { type AnswerHeader, type Operation, sessionKey } from './operation.ts';

type Json = Readonly<Record<string, unknown>>;

const text = { type: 'string' };

export const tags: readonly Json[] = [
  { name: 'adapters', description: 'Backends: MCP servers that the gateway runs or reaches.' },
  { name: 'tenants', description: 'Groups of callers, with what they may use up.' },
  { name: 'sessions', description: 'Open sessions of callers with backends.' },
  { name: 'helm-values', description: 'What is declared, as values of the Helm chart.' },
];

/** `required`: every answer has it. */
export const headers: Readonly<Record<AnswerHeader | 'WWW-Authenticate' | 'Retry-After', Json>> = {
  ETag: { description: 'The revision, in quotes: what `If-Match` takes.', required: true, schema: text },
  Location: { description: 'The path of what was registered.', required: true, schema: text },
  Link: { description: 'Where the next page is (RFC 8288, `rel="next"`); absent on the last one.', schema: text },
  'WWW-Authenticate': { description: 'The challenge (RFC 9110, section 11.6.1).', required: true, schema: text },
  'Retry-After': { description: 'After how many seconds to try again.', schema: { type: 'integer' } },
};

interface Refusal {
  readonly name: string;
  readonly description: string;
  readonly headers?: readonly (keyof typeof headers)[];
  /** Whether an operation may answer with it. Default: all of them. */
  readonly of?: (operation: Operation) => boolean;
}

const refusals: Readonly<Record<number, Refusal>> = {
  400: { name: 'Invalid', description: 'What was sent makes no sense. `errors` says which fields are wrong.' },
  401: { name: 'Unauthenticated', description: 'The token is missing or not good.', headers: ['WWW-Authenticate'] },
  403: { name: 'Forbidden', description: 'The caller may not do this.' },
  404: {
    name: 'Missing',
    description: 'There is none, or the caller may not know of it.',
    of: ({ path, body }) => path.includes('{') || body !== undefined,
  },
  409: {
    name: 'Conflict',
    description: 'The name is taken, there are as many as there may be, or it is declared where the API has no say.',
    of: ({ method }) => method !== 'GET',
  },
  412: {
    name: 'Changed',
    description: 'It is another one than `If-Match` names: read it again.',
    of: ({ conditional }) => conditional === true,
  },
  413: { name: 'TooLarge', description: 'The body is too large, or none is taken here.' },
  415: { name: 'UnsupportedType', description: 'The body must be JSON.', of: ({ body }) => body !== undefined },
  503: { name: 'Unavailable', description: 'Something that is needed does not answer: try again.', headers: ['Retry-After'] },
};

/** The answers by name, for the components. */
export const refusalResponses: Json = Object.fromEntries(
  Object.values(refusals).map(({ name, description, headers: sent }) => [
    name,
    { description, ...(sent && headersOf(sent)), content: { 'application/problem+json': { schema: refTo('schemas', 'Problem') } } },
  ]),
);

export function refusalsOf(operation: Operation): Json {
  const possible = Object.entries(refusals).filter(([, { of }]) => of?.(operation) ?? true);
  return Object.fromEntries(possible.map(([status, { name }]) => [status, refTo('responses', name)]));
}

export function headersOf(names: readonly (keyof typeof headers)[]): Json {
  return { headers: Object.fromEntries(names.map((name) => [name, refTo('headers', name)])) };
}

const pathSchemas: Readonly<Record<string, z.ZodType>> = {
  name: resourceName.describe('A name of at most 50 characters.'),
  key: sessionKey,
};

export function pathParameters(path: string): Json[] {
  const [, name = ''] = /\{(\w+)\}/.exec(path) ?? [];
  const known = pathSchemas[name];
  if (!known) return [];
  const { $schema: _, description, ...schema } = z.toJSONSchema(known);
  return [{ name, in: 'path', required: true, description, schema }];
}

export const ifMatch: Json = {
  name: 'If-Match',
  in: 'header',
  description: 'The `ETag` of what the caller has seen: nothing is changed when it is another one by now. Without it, or with `*`, any is.',
  schema: { ...text, examples: ['"JKAB0YnCYGUFb2b98NzU1Q"'] },
};

export function refTo(kind: 'schemas' | 'responses' | 'headers', name: string): { readonly $ref: string } {
  return { $ref: `#/components/${kind}/${name}` };
}
