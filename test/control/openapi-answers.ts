// Whether answers are what the OpenAPI document says of them: status, content type, headers and body.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { toolsDir } from '../setup/tools.ts';

export type Schema = Readonly<Record<string, unknown>>;

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: Schema;
}

interface Content {
  readonly [type: string]: { readonly schema: Schema };
}

export interface ResponseObject {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly $ref: string }>>;
  readonly content?: Content;
}

export interface OperationObject {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, ResponseObject | { readonly $ref: string }>>;
}

export interface OpenApiDocument {
  readonly openapi: string;
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: { readonly headers: Readonly<Record<string, { readonly required?: boolean }>> };
}

export interface Described {
  readonly method: string;
  readonly path: string;
  readonly operation: OperationObject;
}

export interface SeenAnswer {
  readonly method: string;
  /** With or without a query. */
  readonly path: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export function operationsOf(document: OpenApiDocument): readonly Described[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

/** What a reference within the document points to. */
export function resolved<T extends object>(document: OpenApiDocument, value: T | { readonly $ref: string }): T {
  if (!('$ref' in value)) return value;
  const parts = String(value.$ref).slice(2).split('/');
  return parts.reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], document) as T;
}

type Validate = ((value: unknown) => boolean) & { readonly errors?: unknown };
interface Ajv {
  addSchema(schema: object, key: string): void;
  compile(schema: object): Validate;
}

/** From the tools of the tests. */
export async function tool(file: string): Promise<Record<string, unknown>> {
  return (await import(pathToFileURL(join(toolsDir(), 'node_modules', file)).href)) as Record<string, unknown>;
}

export interface AnswerCheck {
  /** The operation that a request belongs to. */
  find(method: string, path: string): Described | undefined;
  /** What is not as the document says; empty when all is. */
  problems(answer: SeenAnswer): string[];
}

export async function createAnswerCheck(document: OpenApiDocument): Promise<AnswerCheck> {
  const { Ajv2020 } = (await tool('ajv/dist/2020.js')) as { Ajv2020: new (options: object) => Ajv };
  const addFormats = ((await tool('ajv-formats/dist/index.js'))['default'] as { default: (ajv: Ajv) => void }).default;
  // The document says more than a schema does: ajv is not asked to judge that.
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  ajv.addSchema(document, 'document');
  const compiled = new Map<string, Validate>();
  const validatorOf = (pointer: string): Validate => {
    const known = compiled.get(pointer) ?? ajv.compile({ $ref: `document#${pointer}` });
    compiled.set(pointer, known);
    return known;
  };
  const all = operationsOf(document).map((each) => ({ ...each, pattern: new RegExp(`^${each.path.replace(/\{\w+\}/, '[^/]+')}$`) }));

  const find: AnswerCheck['find'] = (method, path) => {
    const [bare = ''] = path.split('?');
    return all.find((each) => each.method === method && each.pattern.test(bare));
  };

  const problems: AnswerCheck['problems'] = ({ method, path, status, headers, text }) => {
    const found = find(method, path);
    if (!found) return [`${method} ${path} is not in the document`];
    const where = `${found.operation.operationId} answered ${status}`;
    const said = found.operation.responses[status];
    if (!said) return [`${where}, which the document does not mention: ${text.slice(0, 300)}`];
    const { content, headers: promised = {} } = resolved(document, said);
    const missing = Object.entries(promised)
      .filter(([name, header]) => resolved<{ required?: boolean }>(document, header).required && !headers.has(name))
      .map(([name]) => `${where} without ${name}`);
    if (!content) return text === '' ? missing : [...missing, `${where} with a body`];
    const type = headers.get('content-type')?.split(';')[0] ?? '';
    if (!content[type]) return [...missing, `${where} as ${type || 'nothing'}: ${text.slice(0, 300)}`];
    if (!type.endsWith('json')) return missing;
    const reference =
      '$ref' in said ? String(said.$ref).slice(1) : pointerTo('paths', found.path, method.toLowerCase(), 'responses', String(status));
    const validate = validatorOf(`${reference}${pointerTo('content', type, 'schema')}`);
    return validate(JSON.parse(text)) ? missing : [...missing, `${where} with ${text.slice(0, 300)}: ${JSON.stringify(validate.errors)}`];
  };
  return { find, problems };
}

/** A JSON pointer, as it stands in the fragment of a URL. */
const pointerTo = (...parts: readonly string[]): string =>
  parts.map((part) => `/${encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('');
