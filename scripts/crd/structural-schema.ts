// Turns a schema of src/config into the structural OpenAPI schema of a custom resource, with a rule in words for every pattern that has words.

import { z } from 'zod';
import { durationLimits } from '../../src/config/durations.ts';
import { durationRules, matches, type Rule } from './cel.ts';

/** One node of a structural schema. */
export interface Structural {
  type?: string;
  description?: string;
  default?: unknown;
  properties?: Record<string, Structural>;
  items?: Structural;
  additionalProperties?: Structural | boolean;
  required?: string[];
  anyOf?: Structural[];
  [keyword: string]: unknown;
}

export interface StructuralOptions {
  /** What the resource is for, in a sentence. */
  readonly description: string;
  /** Rules by the field that they stand at: ``, `env`, `env[].name`, `access.toolScopes`. */
  readonly rules: Readonly<Record<string, readonly Rule[]>>;
  /** Fields whose default stays in words: written into the object it would mean something else than a field that is absent. */
  readonly withoutDefault: ReadonlySet<string>;
  /** Further keywords by field, such as the key of a list. */
  readonly keywords: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Where rules that come from the schema itself wait until the schema is walked. */
const OWN_RULES = 'x-own-rules';

/** @throws Error when a rule or keyword names a field that is not there. */
export function structuralSchema(schema: z.ZodType, { description, rules, withoutDefault, keywords }: StructuralOptions): Structural {
  const json = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    target: 'openapi-3.0',
    override: ({ zodSchema, jsonSchema }) => {
      const own = rulesOf(zodSchema);
      if (own.length === 0) return;
      jsonSchema[OWN_RULES] = own;
      // A pattern beside a rule in words would only complain twice.
      if (!durationLimits.has(zodSchema as never)) delete jsonSchema.pattern;
    },
  }) as Structural;
  const unused = new Set([...Object.keys(rules), ...Object.keys(keywords)]);

  function walk(node: Structural, path: string): Structural {
    unused.delete(path);
    const { [OWN_RULES]: own = [], properties, items, additionalProperties, required, default: fallback, ...rest } = node;
    const scalar = node.type !== 'object' && node.type !== 'array';
    const inWords = fallback === undefined || !isTelling(fallback) ? undefined : `Default: ${textOf(fallback)}.`;
    const validations = [...(own as Rule[]), ...(rules[path] ?? [])];
    return {
      ...valuesOf(rest),
      ...(rest.description && inWords && { description: `${rest.description} ${inWords}` }),
      ...(scalar && fallback !== undefined && !withoutDefault.has(path) && { default: fallback }),
      ...(properties && { properties: mapValues(properties, (child, name) => walk(child, path === '' ? name : `${path}.${name}`)) }),
      ...(required && { required }),
      ...(items && { 'x-kubernetes-list-type': 'atomic', items: walk(items, `${path}[]`) }),
      ...(typeof additionalProperties === 'object' && { additionalProperties: walk(additionalProperties, `${path}{}`) }),
      ...keywords[path],
      ...(validations.length > 0 && { 'x-kubernetes-validations': validations }),
    };
  }

  const structural = walk({ ...json, description }, '');
  if (unused.size > 0) throw new Error(`no such field: ${[...unused].join(', ')}`);
  return structural;
}

/** Patterns that say in words what they want, and lengths of time. */
function rulesOf(schema: z.core.$ZodType): Rule[] {
  const limits = durationLimits.get(schema as never);
  if (limits) return durationRules(limits);
  return patternsOf(schema).flatMap(({ pattern, message }) => (message === undefined ? [] : [{ rule: matches('self', pattern), message }]));
}

interface Pattern {
  readonly pattern: RegExp;
  readonly message: string | undefined;
}

function patternsOf(schema: z.core.$ZodType): Pattern[] {
  if (!(schema instanceof z.ZodString)) return [];
  return (schema.def.checks ?? []).flatMap((check) => {
    const { def } = (check as z.core.$ZodCheckRegex)._zod;
    if (def.check !== 'string_format' || !(def.pattern instanceof RegExp)) return [];
    const message = def.error?.({} as never);
    return [{ pattern: def.pattern, message: typeof message === 'string' ? message : message?.message }];
  });
}

/** Value keywords as a structural schema has them. */
function valuesOf(node: Structural): Structural {
  const { type, description, anyOf, minimum, maximum, propertyNames: _, ...others } = node;
  const rest = { ...(type && { type }), ...(description && { description }), ...others };
  if (anyOf) {
    const text = anyOf.find(({ type }) => type === 'string');
    const own = (text?.[OWN_RULES] ?? []) as Rule[];
    return {
      ...rest,
      maxLength: text?.['maxLength'],
      'x-kubernetes-int-or-string': true,
      anyOf: [{ type: 'integer' }, { type: 'string' }],
      'x-kubernetes-validations': own.map(({ rule, message }) => ({ rule: `type(self) == int ? self >= 0 : ${rule}`, message })) as Rule[],
    };
  }
  return {
    ...rest,
    ...(node.type === 'integer' && { format: isSmall(maximum) ? 'int32' : 'int64' }),
    ...(minimum !== undefined && { minimum }),
    ...(maximum !== undefined && { maximum }),
  };
}

const isSmall = (maximum: unknown): boolean => typeof maximum === 'number' && maximum < 2 ** 31;
const isTelling = (fallback: unknown): boolean => typeof fallback !== 'object' || (Array.isArray(fallback) && fallback.length > 0);
const textOf = (fallback: unknown): string => (Array.isArray(fallback) ? `[${fallback.join(', ')}]` : String(fallback));

function mapValues<In, Out>(record: Record<string, In>, change: (value: In, name: string) => Out): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value, name)]));
}
