// The schema of `env`: the environment variables of a server that the gateway runs.

import { z } from 'zod';
import { secretKeyRef, variableName } from './secret-ref.ts';

const MAX_LIST = 256;
const MAX_TEXT = 32_768;

/** Variables that change which code a process runs. */
export const REFUSED_VARIABLE = /^(NODE_OPTIONS|PATH|LD_.*|DYLD_.*)$/i;

const envVariable = z
  .strictObject({
    name: variableName.describe('The name of the variable.'),
    value: z
      .string({ error: 'must be text: put numbers and true/false in quotes' })
      .max(MAX_TEXT)
      .optional()
      .describe('Its value. $(PORT) stands for the port that the server is to listen on.'),
    valueFrom: z.strictObject({ secretKeyRef }).optional().describe('Where the value comes from, instead of value.'),
  })
  .superRefine((variable, context) => {
    if (REFUSED_VARIABLE.test(variable.name)) {
      context.addIssue({
        code: 'custom',
        path: ['name'],
        message: `${variable.name} may not be set: it changes which code a process runs`,
      });
    }
    if (variable.name === 'PORT') {
      context.addIssue({
        code: 'custom',
        path: ['name'],
        message: 'PORT is assigned by the gateway; use $(PORT) in args or in another variable',
      });
    }
    if ((variable.value === undefined) === (variable.valueFrom === undefined)) {
      context.addIssue({ code: 'custom', path: ['value'], message: 'exactly one of value and valueFrom is needed' });
    }
  });

export const environment = z.array(envVariable).max(MAX_LIST);

/** Names that stand in a list more than once, from anybody's input. */
export function repeatedNames(env: unknown): readonly string[] {
  const names = (Array.isArray(env) ? (env as unknown[]) : [])
    .map((variable) => (variable as { name?: unknown } | null)?.name)
    .filter((name) => typeof name === 'string');
  return [...new Set(names.filter((name, at) => names.indexOf(name) !== at))];
}
