// The OpenAPI 3.1 document of the REST interface, made from the operations themselves: it cannot say anything else than the server does.

import { z } from 'zod';
import { version } from '../config/version.ts';
import type { Operation } from './operation.ts';
import { problemDetails } from './schemas.ts';

type Json = Readonly<Record<string, unknown>>;
type Io = 'input' | 'output';

/** Refusals that any operation may answer with. */
const REFUSALS = [400, 401, 403, 404, 405, 409, 412, 413, 415, 503];
const PROBLEM = { description: 'Refused, and why', content: { 'application/problem+json': { schema: ref('Problem') } } };

function ref(name: string): { readonly $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}

export function openApiDocument(operations: readonly Operation[]): Json {
  const schemas: Record<string, unknown> = {};
  /** Schemas with a name of their own go to the components. */
  const schemaOf = (schema: z.ZodType, io: Io): Json => {
    const { $schema: _, $defs = {}, ...own } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Record<string, unknown>;
    for (const [name, definition] of Object.entries($defs as Json)) schemas[name] ??= atComponents(definition);
    const name = own['id'];
    if (typeof name !== 'string') return atComponents(own) as Json;
    schemas[name] ??= atComponents(own);
    return ref(name);
  };
  schemaOf(problemDetails, 'output');

  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    const { method, path, id, summary, body, conditional } = operation;
    const parameters = [...pathParameters(path), ...queryParameters(operation, schemaOf)];
    if (conditional)
      parameters.push({ name: 'If-Match', in: 'header', schema: { type: 'string' }, description: 'The `ETag` that was seen.' });
    paths[path] ??= {};
    paths[path][method.toLowerCase()] = {
      operationId: id,
      summary,
      ...(parameters.length > 0 && { parameters }),
      ...(body && { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } } }),
      responses: { ...answersOf(operation, schemaOf), ...Object.fromEntries(REFUSALS.map((status) => [status, PROBLEM])) },
    };
  }
  return {
    openapi: '3.1.0',
    info: { title: 'MCP gateway', version: version(), summary: 'Backends, tenants and sessions of a gateway for MCP servers.' },
    security: [{ bearer: [] }],
    paths,
    components: { schemas, securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
  };
}

function pathParameters(path: string): Json[] {
  const [, name] = /\{(\w+)\}/.exec(path) ?? [];
  return name === undefined ? [] : [{ name, in: 'path', required: true, schema: { type: 'string' } }];
}

function queryParameters({ query }: Operation, schemaOf: (schema: z.ZodType, io: Io) => Json): Json[] {
  const { properties = {}, required = [] } = schemaOf(query, 'input') as { properties?: Json; required?: readonly string[] };
  // What a number is read from is text, of which the schema of the input says nothing.
  const { properties: read = {} } = schemaOf(query, 'output') as { properties?: Json };
  return Object.keys(properties).map((name) => ({
    ...{ name, in: 'query', schema: read[name] ?? properties[name] },
    ...(required.includes(name) && { required: true }),
  }));
}

function answersOf({ answers }: Operation, schemaOf: (schema: z.ZodType, io: Io) => Json): Json {
  return Object.fromEntries(
    Object.entries(answers).map(([status, schema]) => {
      if (schema === undefined) return [status, { description: 'Done' }];
      const content =
        schema === 'text'
          ? { 'text/plain': { schema: { type: 'string' } }, 'text/event-stream': { schema: { type: 'string' } } }
          : { 'application/json': { schema: schemaOf(schema, 'output') } };
      return [status, { description: 'Done', content }];
    }),
  );
}

/** References among the definitions of one schema become references among the components. */
function atComponents(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(atComponents);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema)
      .filter(([key, value]) => !(key === 'id' && typeof value === 'string'))
      .map(([key, value]) => [key, key === '$ref' ? String(value).replace('#/$defs/', '#/components/schemas/') : atComponents(value)]),
  );
}
