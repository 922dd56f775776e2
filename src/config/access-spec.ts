// The schema of `access`: who may use a backend, and which of its tools.

import { z } from 'zod';

const MAX_LIST = 256;
const MAX_NAME = 256;
const MAX_TEXT = 1024;
/** One per tool; more tools than a model can choose from. */
const MAX_TOOL_SCOPES = 128;
const MAX_SCOPES_PER_TOOL = 32;

const texts = z.array(z.string().min(1).max(MAX_TEXT)).max(MAX_LIST);
const scope = z
  .string()
  .max(MAX_NAME)
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be an OAuth scope');
const scopes = z.array(scope).max(MAX_LIST);

/** Tool globs of a backend or tenant: `*` stands for any run of characters; deny wins. */
export const toolRules = z.strictObject({
  allow: texts.default(['*']).describe('Tools that may be seen and called; * stands for any characters.'),
  deny: texts.default([]).describe('Tools that may not, whatever allow says.'),
});

const toolScopes = z
  .record(z.string().min(1).max(MAX_NAME), z.array(scope).max(MAX_SCOPES_PER_TOOL))
  .refine((map) => Object.keys(map).length <= MAX_TOOL_SCOPES, `must have at most ${MAX_TOOL_SCOPES} entries`);

export const access = z.strictObject({
  tenants: texts.default([]).describe('Names of tenants whose callers may use the backend; * for all.'),
  roles: texts.default([]).describe('Roles that may use the backend, whatever the tenant.'),
  scopes: scopes.default([]).describe('OAuth scopes that every request needs.'),
  toolScopes: toolScopes.default({}).describe('OAuth scopes that calls of some tools need besides, by tool; * stands for any characters.'),
  tools: toolRules.prefault({}).describe('Which tools may be seen and called.'),
});
