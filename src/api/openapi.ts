// The OpenAPI 3.1 document of the REST interface, made from the operations themselves: it cannot say anything else than the server does.

import { z } from 'zod';
import { version } from '../config/version.ts';
import { headers, headersOf, ifMatch, pathParameters, refTo, refusalResponses, refusalsOf, tags } from './openapi-parts.ts';
import type { Operation } from './operation.ts';
import { problemDetails } from './schemas.ts';

type Json = Readonly<Record<string, unknown>>;
type Io = 'input' | 'output';

/** What became of it. */
const DONE: Readonly<Record<string, string>> = { 200: 'Done.', 201: 'Registered.', 202: 'Under way.', 204: 'Removed.' };

const bearer = {
  type: 'http',
  scheme: 'bearer',
  description:
    'A token of one of the gateway’s issuers. At the admin address, and where there are no issuers, the control token in `<home>/token`.',
};

export function openApiDocument(operations: readonly Operation[]): Json {
  const schemas: Record<string, unknown> = {};
  /** Schemas with a name of their own go to the components. */
  const schemaOf = (schema: z.ZodType, io: Io): Json => {
    const { $schema: _, $defs = {}, ...own } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Record<string, unknown>;
    for (const [name, definition] of Object.entries($defs as Json)) schemas[name] ??= atComponents(definition);
    const name = own['id'];
    if (typeof name !== 'string') return atComponents(own) as Json;
    schemas[name] ??= atComponents(own);
    return refTo('schemas', name);
  };
  schemaOf(problemDetails, 'output');

  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    const { method, path, id, summary, description, body, conditional } = operation;
    const parameters = [...pathParameters(path), ...queryParameters(operation, schemaOf), ...(conditional ? [ifMatch] : [])];
    paths[path] ??= {};
    paths[path][method.toLowerCase()] = {
      operationId: id,
      tags: [path.split('/')[1]],
      summary,
      ...(description !== undefined && { description }),
      ...(parameters.length > 0 && { parameters }),
      ...(body && { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } } }),
      responses: { ...answersOf(operation, schemaOf), ...refusalsOf(operation) },
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'MCP gateway',
      version: version(),
      summary: 'Backends, tenants and sessions of a gateway for MCP servers.',
      description: 'Parameters and fields that are not named here are refused. Refusals are problem details (RFC 9457).',
    },
    servers: [{ url: '/', description: 'The gateway’s own URL, and its admin address.' }],
    security: [{ bearer: [] }],
    tags,
    paths,
    components: { schemas, responses: refusalResponses, headers, securitySchemes: { bearer } },
  };
}

function queryParameters({ query }: Operation, schemaOf: (schema: z.ZodType, io: Io) => Json): Json[] {
  const { properties = {}, required = [] } = schemaOf(query, 'input') as { properties?: Json; required?: readonly string[] };
  // What a number is read from is text, of which the schema of the input says nothing.
  const { properties: read = {} } = schemaOf(query, 'output') as { properties?: Json };
  return Object.keys(properties).map((name) => {
    const { description, ...schema } = (read[name] ?? properties[name]) as Json;
    return { name, in: 'query', required: required.includes(name), description, schema };
  });
}

function answersOf({ answers, headers: sent }: Operation, schemaOf: (schema: z.ZodType, io: Io) => Json): Json {
  return Object.fromEntries(
    Object.entries(answers).map(([status, schema]) => {
      const answer = { description: DONE[status], ...(sent && headersOf(sent)) };
      if (schema === undefined) return [status, answer];
      const content =
        schema === 'text'
          ? { 'text/plain': { schema: { type: 'string' } }, 'text/event-stream': { schema: { type: 'string' } } }
          : { 'application/json': { schema: schemaOf(schema, 'output') } };
      return [status, { ...answer, content }];
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
