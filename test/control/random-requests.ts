// Requests made at random from an OpenAPI document: some as it says, most of them wrong in one way or another.

import fc from 'fast-check';
import { type Described, type OpenApiDocument, operationsOf, type Parameter, resolved, type Schema } from './openapi-answers.ts';

/** More would be refused before anybody reads it. */
const MAX_ENCODED_CHARS = 1_100;
/** Names of backends and tenants. `counter` is there from the beginning. */
const NAMES = ['one', 'two', 'three', 'counter'];
/** The document says no more of images than that they are text. None of these can be run, and none can be reached. */
const IMAGES = [
  'https://mcp.invalid/mcp',
  'http://127.0.0.1:9/mcp',
  'npm:a@1.0.0',
  'exec:/bin/false',
  'registry.invalid/a:1',
  'http://10.0.0.1/',
];

export interface RandomRequest {
  readonly method: string;
  /** With its query, as it is sent. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

const often = <T>(usual: fc.Arbitrary<T>, other: fc.Arbitrary<T>, times = 4): fc.Arbitrary<T> =>
  fc.oneof({ weight: times, arbitrary: usual }, { weight: 1, arbitrary: other });

const oddText = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '\0',
    '\u001b[2J',
    '\r\n',
    '__proto__',
    'constructor',
    '../..',
    '%00',
    '\ud800',
    '\u202e',
    '🦆',
    'NaN',
    '-1',
    '1e999',
    '$(id)',
  ),
  fc.constantFrom('x'.repeat(1_025), 'x'.repeat(40_000)),
  fc.string({ unit: 'binary', maxLength: 20 }),
);
const oddNumber = fc.oneof(
  fc.constantFrom(-1, 0, 0.5, -0, 65_536, 2 ** 53, 1e308, -1e308),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);
const nested = fc.constantFrom(10, 10_000).map((depth) => new Raw('['.repeat(depth) + ']'.repeat(depth)));
const junk: fc.Arbitrary<unknown> = fc.oneof(
  oddText,
  oddNumber,
  nested,
  fc.boolean(),
  fc.constant(null),
  fc.constant([]),
  fc.constant({}),
  fc.jsonValue({ maxDepth: 3 }),
);

/** Text that is JSON already: what is nested deep is more than `JSON.stringify` can take. */
class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Own fields only, also `__proto__`. */
type Fields = readonly (readonly [string, unknown])[];
class Dictionary {
  readonly fields: Fields;
  constructor(fields: Fields) {
    this.fields = fields;
  }
}

function jsonOf(value: unknown): string {
  if (value instanceof Raw) return value.text;
  if (value instanceof Dictionary) return `{${value.fields.map(([name, each]) => `${JSON.stringify(name)}:${jsonOf(each)}`).join(',')}}`;
  return Array.isArray(value) ? `[${value.map(jsonOf).join(',')}]` : (JSON.stringify(value) ?? 'null');
}

/** A value for a schema; now and then, at any place in it, something else. */
function valueFor(document: OpenApiDocument, given: Schema | { readonly $ref: string }, name = ''): fc.Arbitrary<unknown> {
  const schema = resolved<Schema>(document, given);
  const of = (each: unknown, field?: string) => valueFor(document, each as Schema, field);
  const right = (): fc.Arbitrary<unknown> => {
    if (name === 'image' || name === 'imageName') return fc.constantFrom(...IMAGES);
    if (name === 'name' || name === 'backend') return fc.constantFrom(...NAMES);
    if ('const' in schema) return fc.constant(schema['const']);
    if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]));
    if (Array.isArray(schema['anyOf'])) return fc.oneof(...schema['anyOf'].map((each) => of(each)));
    if (schema['type'] === 'object') return objectFor(schema, of);
    if (schema['type'] === 'array') return fc.array(of(schema['items']), { minLength: Number(schema['minItems'] ?? 0), maxLength: 2 });
    if (schema['type'] === 'integer') return fc.integer({ min: bound(schema['minimum'], -1e9), max: bound(schema['maximum'], 1e9) });
    if (schema['type'] === 'boolean') return fc.boolean();
    if (schema['type'] === 'null') return fc.constant(null);
    if (schema['format'] === 'uri') return fc.webUrl();
    if (typeof schema['pattern'] === 'string') return fc.stringMatching(new RegExp(schema['pattern']), { size: 'xsmall' });
    return fc.string({ minLength: Number(schema['minLength'] ?? 0), maxLength: 12 });
  };
  return often(right(), junk, 20);
}

const bound = (given: unknown, most: number): number =>
  Math.trunc(Math.max(-Math.abs(most), Math.min(Math.abs(most), Number(given ?? most))));

function objectFor(schema: Schema, of: (schema: unknown, name?: string) => fc.Arbitrary<unknown>): fc.Arbitrary<Dictionary> {
  const {
    properties = {},
    required = [],
    additionalProperties,
    propertyNames,
  } = schema as {
    properties?: Readonly<Record<string, Schema>>;
    required?: readonly string[];
    additionalProperties?: unknown;
    propertyNames?: Schema;
  };
  const optional = Object.keys(properties).filter((name) => !required.includes(name));
  const field = (name: string): fc.Arbitrary<readonly [string, unknown]> => of(properties[name], name).map((value) => [name, value]);
  const dropped = often(fc.constant<readonly string[]>([]), fc.subarray([...required]), 10);
  const named = fc.tuple(dropped, fc.subarray(optional, { maxLength: Math.min(3, optional.length) })).chain(([less, more]) => {
    const names = [...required.filter((name) => !less.includes(name)), ...more];
    return fc.tuple(...names.map(field));
  });
  const free =
    typeof additionalProperties === 'object'
      ? fc.array(fc.tuple(of(propertyNames ?? { type: 'string' }) as fc.Arbitrary<unknown>, of(additionalProperties)), { maxLength: 2 })
      : often(
          fc.constant<[unknown, unknown][]>([]),
          fc.array(fc.tuple(oddText as fc.Arbitrary<unknown>, junk), { minLength: 1, maxLength: 1 }),
          10,
        );
  return fc.tuple(named, free).map(([fields, others]) => {
    const added = others.map(([name, value]): readonly [string, unknown] => [String(name instanceof Raw ? name.text : name), value]);
    return new Dictionary([...fields, ...added]);
  });
}

/** The bytes of a body, which may be no JSON at all. */
function bodyFor(document: OpenApiDocument, schema: Schema | undefined): fc.Arbitrary<Buffer | undefined> {
  const broken = fc.oneof(
    fc
      .constantFrom('', '{', '{}{}', '[]', 'null', '"', '{"name":1e999}', '{"name":"one","name":"two"}', '\ufeff{}', 'x'.repeat(1_100_000))
      .map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    junk.map((value) => Buffer.from(jsonOf(value))),
  );
  if (!schema) return often<Buffer | undefined>(fc.constant(undefined), broken, 10);
  const written = valueFor(document, schema).map((value) => Buffer.from(jsonOf(value)));
  return often<Buffer | undefined>(written, fc.oneof(broken, fc.constant(undefined)), 8);
}

function queryFor(document: OpenApiDocument, parameters: readonly Parameter[]): fc.Arbitrary<string> {
  const known = parameters.filter((each) => each.in === 'query');
  const pair = ({ name, schema }: Parameter) =>
    valueFor(document, schema).map((value) => [name, String(value instanceof Raw ? value.text : value)] as const);
  const right = fc.subarray(known).chain((some) => fc.tuple(...known.filter((each) => each.required || some.includes(each)).map(pair)));
  const encoded = right.map((pairs) => pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&'));
  const wrong = fc.oneof(
    fc.constantFrom('&&==', '%', '%zz', '?', 'limit=1&limit=2', '__proto__=1', 'x=%00', '=', 'lines[]=1', 'limit=%E2%82'),
    fc.tuple(oddText, oddText).map(([name, value]) => `${encode(name)}=${encode(value)}`),
  );
  return often(
    encoded,
    fc.tuple(encoded, wrong).map((both) => both.filter((each) => each !== '').join('&')),
    5,
  );
}

/** Half of a pair of surrogates has no encoding. */
const encode = (text: string): string => encodeURIComponent(text.toWellFormed().slice(0, MAX_ENCODED_CHARS));

function pathFor({ path, operation }: Described): fc.Arbitrary<string> {
  // New processes again and again would measure the machine.
  const names = NAMES.filter((name) => operation.operationId !== 'restartAdapter' || name !== 'counter');
  const odd = oddText.map((text) => encode(text) || '%20');
  const name = often(
    fc.constantFrom(...names),
    fc.oneof(odd, fc.constantFrom('%2e%2e', '%2F', '%5c', '%00', 'ONE', 'x;y=1', 'caf\u00e9')),
    6,
  );
  return name.map((each) => path.replace(/\{\w+\}/, each));
}

/** Bytes that may stand in a header. */
const headerText = fc.oneof(
  fc.constantFrom('"', '*', 'W/"x"', '"a", "b"', '\u00ff', ', ,', '"__proto__"', 'x'.repeat(5_000)),
  fc.stringMatching(/^[!-~]{1,20}$/),
);

function headersFor(token: string, parameters: readonly Parameter[]): fc.Arbitrary<Readonly<Record<string, string>>> {
  const own = parameters.filter((each) => each.in === 'header').map(({ name }) => fc.tuple(fc.constant(name.toLowerCase()), headerText));
  const authorization = often(
    fc.constant(`Bearer ${token}`),
    fc.oneof(
      fc.constant(''),
      headerText.map((text) => `Bearer ${text}`),
      headerText,
    ),
    12,
  );
  const type = often(
    fc.constant('application/json'),
    fc.constantFrom(
      '',
      'text/plain',
      'application/json; charset=utf-16',
      'APPLICATION/JSON;',
      'multipart/form-data',
      'application/jsonx',
      ';',
      '\u00ff',
    ),
    8,
  );
  const others = [
    'if-match',
    'accept',
    'origin',
    'content-encoding',
    'accept-encoding',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-request-id',
  ];
  const ours = [
    'mcp-session-id',
    'mcp-protocol-version',
    'x-mcp-subject',
    'traceparent',
    'range',
    'cookie',
    'x-http-method-override',
    'x-mcp-rebound',
  ];
  const more = fc.array(fc.tuple(fc.constantFrom(...others, ...ours), fc.oneof(headerText, fc.constant('text/event-stream'))), {
    maxLength: 2,
  });
  return fc
    .tuple(authorization, type, often(fc.constant<[string, string][]>([]), fc.oneof(more, fc.tuple(...own)), 2))
    .map(([who, what, rest]) => ({
      ...(who !== '' && { authorization: who }),
      ...(what !== '' && { 'content-type': what }),
      ...Object.fromEntries(rest),
    }));
}

export function randomRequests(document: OpenApiDocument, token: string): fc.Arbitrary<RandomRequest> {
  const operations = operationsOf(document).map((described) => {
    const { method, operation } = described;
    const body = operation.requestBody?.content['application/json']?.schema;
    return fc.record({
      method: often(fc.constant(method), fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'), 12),
      target: fc
        .tuple(pathFor(described), queryFor(document, operation.parameters ?? []))
        .map(([path, query]) => (query === '' ? path : `${path}?${query}`)),
      headers: headersFor(token, operation.parameters ?? []),
      body: bodyFor(document, body),
    });
  });
  return fc.oneof(...operations);
}
