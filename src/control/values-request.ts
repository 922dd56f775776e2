// What somebody asks of the values file, as the API takes it.

import { z } from 'zod';
import { issuerSpec } from '../config/issuer-spec.ts';
import { adapterData } from './adapter-data.ts';
import { fieldProblems, invalid, objectOf } from './refusal.ts';
import { tenantData } from './tenant-data.ts';

const MAX_ISSUERS = 50;
const MAX_RESOURCES = 1_000;
const MAX_REPLICAS = 100;

const publicUrl = z
  .string()
  .max(2_048)
  .regex(/^https?:\/\/[^?#\s]+$/, 'must be a URL such as https://mcp.example.com')
  .describe('Where clients will reach the gateway.');
const replicas = z.int().min(1).max(MAX_REPLICAS).describe('How many gateways there will be. More than one share a Redis.');
const issuers = z
  .array(issuerSpec)
  .max(MAX_ISSUERS)
  .describe('OpenID Connect issuers whose tokens are accepted. Left out: those of this gateway. None: no token is asked for.');

/** For the document of the interface. */
export const valuesRequest = z.strictObject({
  publicUrl: publicUrl.optional(),
  replicas: replicas.optional(),
  issuers: issuers.optional(),
  backends: z
    .array(adapterData)
    .max(MAX_RESOURCES)
    .optional()
    .describe('Left out: all of this gateway. With its name alone: as it is declared here. Values of variables are not written down.'),
  tenants: z
    .array(tenantData)
    .max(MAX_RESOURCES)
    .optional()
    .describe('Left out: all of this gateway. With its name alone: as it is declared here.'),
});

/** A resource by its name, or with what it is to be. */
export type Entry = { readonly name: string } & Readonly<Record<string, unknown>>;

// Read one by one where they are used: there it is said what is wrong with each.
const entries = z
  .array(z.looseObject({ name: z.string({ error: 'must be given' }).min(1, 'must not be empty') }))
  .max(MAX_RESOURCES)
  .superRefine((list, context) => {
    for (const [at, { name }] of list.entries()) {
      if (list.findIndex((other) => other.name === name) < at)
        context.addIssue({ code: 'custom', path: [at], message: `${name} is given twice` });
    }
  });
const shape = z.strictObject({
  ...{ publicUrl: publicUrl.optional(), replicas: replicas.optional(), issuers: issuers.optional() },
  ...{ backends: entries.optional(), tenants: entries.optional() },
});

export type ValuesRequest = z.output<typeof shape>;

/** @throws ControlRefusal `invalid` with every problem. */
export function readValuesRequest(body: unknown): ValuesRequest {
  const { success, data, error } = shape.safeParse(objectOf(body));
  if (!success) throw invalid(fieldProblems(error));
  return data;
}
