// What Helm would say of a values file before it renders anything: the defaults of the chart, merged, before the chart's own schema.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { AjvJsonSchemaValidator } from '@modelcontextprotocol/sdk/validation/ajv';
import { parse } from 'yaml';

const chart = resolve(import.meta.dirname, '../../k8s/chart');

const read = (file: string): string => readFileSync(resolve(chart, file), 'utf8');
let compiled: ReturnType<AjvJsonSchemaValidator['getValidator']> | undefined;

/** Undefined: nothing. Helm reads YAML 1.1. */
export function problemOfValues(text: string): string | undefined {
  compiled ??= new AjvJsonSchemaValidator().getValidator(JSON.parse(read('values.schema.json')) as Record<string, unknown>);
  const defaults = parse(read('values.yaml'), { version: '1.1' }) as Map;
  return compiled(merged(defaults, parse(text, { version: '1.1' }) as Map)).errorMessage;
}

type Map = { readonly [key: string]: unknown };
const isMap = (value: unknown): value is Map => typeof value === 'object' && value !== null && !Array.isArray(value);

function merged(under: Map, over: Map): Map {
  const result: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) result[key] = isMap(value) && isMap(under[key]) ? merged(under[key], value) : value;
  return result;
}
