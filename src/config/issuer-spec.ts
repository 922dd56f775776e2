// The setting `issuers`: the identity providers whose tokens are accepted, and how their tokens are read.

import { parseDocument } from 'yaml';
import { z } from 'zod';
import { duration } from './durations.ts';
import { type ClaimNames, claimPresets, genericClaims } from './issuer-presets.ts';
import type { Parser } from './settings-parsers.ts';

const MAX_ISSUERS = 50;
const MAX_AUDIENCES = 100;
const MAX_CLAIM_NAMES = 20;
const MAX_URL = 1024;
const MAX_LEEWAY_MS = 120_000;
/** More would only repeat the same mistake. */
const MAX_PROBLEMS = 20;

/** Signatures with a public key only: with `none` or an HMAC, whoever knows the published keys could write tokens. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const;

/** Keys that come over plain HTTP can be replaced on the way: only this machine may be asked like that. */
const secureUrl = z
  .string()
  .max(MAX_URL)
  .superRefine((text, context) => {
    const problem = endpointProblem(text);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  });

/** Compared with `iss` letter by letter (OpenID Connect Core, section 3.1.3.7), so it stays as it was written. */
const issuerUrl = secureUrl.refine((text) => !/[?#]/.test(text), 'must not contain a query or fragment');
const text = z.string().min(1).max(MAX_URL);
const claimName = z.string().min(1).max(256);

const shape = z
  .strictObject({
    issuer: issuerUrl,
    audiences: z.array(text).max(MAX_AUDIENCES).default([]),
    preset: z.enum(Object.keys(claimPresets) as (keyof typeof claimPresets)[]).optional(),
    discoveryUrl: secureUrl.optional(),
    jwksUri: secureUrl.optional(),
    algorithms: z
      .array(z.enum(ALGORITHMS, { error: `must be one of ${ALGORITHMS.join(', ')}` }))
      .min(1)
      .default([...ALGORITHMS]),
    claims: z
      .strictObject({
        subject: claimName.optional(),
        tenant: claimName.optional(),
        roles: z.array(claimName).max(MAX_CLAIM_NAMES).optional(),
        scopes: z.array(claimName).max(MAX_CLAIM_NAMES).optional(),
      })
      .prefault({}),
    leeway: duration({ minMs: 0, maxMs: MAX_LEEWAY_MS }).prefault('30s'),
  })
  .superRefine(({ discoveryUrl, jwksUri }, context) => {
    if (discoveryUrl !== undefined && jwksUri !== undefined) {
      context.addIssue({ code: 'custom', path: ['discoveryUrl'], message: 'is not used with jwksUri' });
    }
  });

/** The schema of one entry of `issuers`: claims completed from the preset, the leeway in milliseconds. */
export const issuerSpec = shape.transform(({ claims, ...spec }) => ({
  ...spec,
  claims: { ...(spec.preset === undefined ? genericClaims : claimPresets[spec.preset]), ...claims } as ClaimNames,
}));

export type IssuerSpec = z.output<typeof issuerSpec>;

/** A YAML list, or from the environment such a list as text (JSON is YAML). Throws with all problems in one line. */
export const issuersSetting: Parser<readonly IssuerSpec[]> = (raw) => {
  const entries = typeof raw === 'string' ? parseText(raw) : raw;
  if (!Array.isArray(entries) || entries.length > MAX_ISSUERS) throw new Error(`must be a list of at most ${MAX_ISSUERS} issuers`);
  const parsed = z.array(issuerSpec).safeParse(entries);
  const problems = [...(parsed.success ? [] : schemaProblems(parsed.error)), ...repeated(entries)];
  if (parsed.success && problems.length === 0) return Object.freeze(parsed.data);
  throw new Error(`has mistakes: ${problems.slice(0, MAX_PROBLEMS).join('; ')}`);
};

function parseText(given: string): unknown {
  const document = parseDocument(given);
  const [mistake] = document.errors;
  if (mistake !== undefined) throw new Error(`must be a list in JSON or YAML: ${mistake.message.split('\n')[0]}`);
  // Without any text there are no issuers.
  return document.toJS() ?? [];
}

function schemaProblems({ issues }: z.ZodError): string[] {
  return issues.flatMap((issue) => {
    const [at, ...path] = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `${at}: ${[...path, key].join('.')}: unknown field`);
    return [[at, path.join('.'), issue.message].filter((part) => part !== '').join(': ')];
  });
}

function repeated(entries: readonly unknown[]): string[] {
  const issuers = entries.map((entry) => (entry as { issuer?: unknown } | null)?.issuer);
  return issuers.flatMap((issuer, at) =>
    typeof issuer === 'string' && issuers.indexOf(issuer) < at ? [`${at}: issuer: ${JSON.stringify(issuer)} is given twice`] : [],
  );
}

/** What is wrong with a URL to read metadata or keys from, in a few words. */
export function endpointProblem(given: string): string | undefined {
  if (!URL.canParse(given) || !/^https?:\/\/[\x21-\x7e]+$/.test(given)) return 'must be a URL such as https://login.example.com/';
  const { protocol, hostname, username, password } = new URL(given);
  if (username !== '' || password !== '') return 'must not contain a user or password';
  if (protocol === 'https:' || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) return undefined;
  return 'must begin with https:// (http:// only for this machine)';
}
