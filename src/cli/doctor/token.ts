// What the gateway would make of a bearer token: whose it is, and each thing that is wrong with it. The token goes nowhere, and is not shown.

import { open } from 'node:fs/promises';
import type { IssuerSpec } from '../../config/issuer-spec.ts';
import { within } from '../../core/within.ts';
import { audiencesOf, type Claims } from '../../identity/claims.ts';
import { identityOf, timeFault } from '../../identity/identity-of.ts';
import { checkSignature } from '../../identity/signature.ts';
import { quoted } from '../../identity/token-fault.ts';
import { readToken, type TokenParts } from '../../identity/token-parts.ts';
import { type Finding, failure, ok, type Title, warning } from './finding.ts';
import { explainIss } from './iss.ts';
import type { ReadKeys } from './issuers.ts';

/** The longest token that the gateway reads, and white space. */
const MAX_FILE_BYTES = 32 * 1024;
const MAX_AUDIENCES_NAMED = 5;
/** Of waiting for the keys: less than the whole check may take, so that the rest is said in any case. */
const KEYS_TIMEOUT_MS = 8_000;
const title: Title = ['token'];

export interface TokenJudgement {
  readonly findings: readonly Finding[];
  /** When the gateway would take it. */
  readonly good: GoodToken | undefined;
}

export interface GoodToken {
  readonly token: string;
  /** A token may be for one backend alone (RFC 8707). */
  readonly opens: (backend: string) => boolean;
}

export interface TokenRules {
  readonly issuers: readonly IssuerSpec[];
  readonly readKeys: ReadKeys;
  /** The base URL for which tokens may be issued too; `undefined` when it depends on how clients call the gateway. */
  readonly base: string | undefined;
  readonly now: number;
}

/** The token of a file, with or without the word before it. @throws Error with one line. */
export async function readTokenFile(file: string): Promise<string> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new Error(error.code === 'ENOENT' ? `${file}: there is no such file` : `${file} cannot be read (${error.code})`);
  });
  try {
    const buffer = Buffer.alloc(MAX_FILE_BYTES);
    let size = 0;
    // Without a position, because a pipe has none: --token-file <(command)
    for (let read = -1; read !== 0 && size < MAX_FILE_BYTES; size += read) {
      read = (await handle.read(buffer, size, MAX_FILE_BYTES - size, null)).bytesRead;
    }
    return buffer
      .toString('utf8', 0, size)
      .trim()
      .replace(/^(authorization: *)?bearer +/i, '');
  } finally {
    await handle.close();
  }
}

/** @throws the signal's reason. */
export async function judgeToken(token: string, rules: TokenRules, signal: AbortSignal): Promise<TokenJudgement> {
  const parts = readToken(token);
  if ('kind' in parts) {
    return bad([
      failure(
        title,
        `it is no token that the gateway reads: ${parts.detail}`,
        'take an access token in the form of a signed JWT: opaque tokens are not accepted',
      ),
    ]);
  }
  const { claims } = parts;
  const { issuers, now } = rules;
  if (issuers.length === 0) {
    const advice = 'give doctor the settings of the gateway with --config, or leave the token out';
    return bad([warning(title, `${described(claims, now)}; these settings have no issuers to check it against`, advice)]);
  }
  const spec = issuers.find(({ issuer }) => issuer === claims['iss']);
  if (spec === undefined) {
    const { message, advice } = explainIss(
      claims['iss'],
      issuers.map(({ issuer }) => issuer),
    );
    return bad([failure(title, `its iss ${message}`, advice), ...timeFindings(claims, 0, now)]);
  }
  const findings = [
    ...timeFindings(claims, spec.leeway, now),
    ...audienceFindings(claims, spec, rules.base),
    ...subjectFindings(claims, spec),
    ...(await signatureFindings(token, parts, spec, rules, signal)),
  ];
  if (findings.length > 0) return bad(findings);
  const audiences = audiencesOf(claims);
  const all = isForAll(audiences, spec.audiences, rules.base);
  const opens = (backend: string): boolean => all || audiences.includes(`${rules.base}/adapters/${backend}/mcp`);
  return { findings: [ok(title, described(claims, now))], good: { token, opens } };
}

const bad = (findings: readonly Finding[]): TokenJudgement => ({ findings, good: undefined });

function timeFindings(claims: Claims, leeway: number, now: number): Finding[] {
  const fault = timeFault(claims, { now, leeway });
  switch (fault?.code) {
    case undefined:
      return [];
    case 'expired':
      return [failure(title, `it has expired, ${span(now - seconds(claims['exp']))} ago`, 'take a fresh one')];
    case 'not_yet_valid':
      return [
        failure(title, `it is valid only in ${span(seconds(claims['nbf']) - now)}`, 'set the clocks of this machine and of the issuer'),
      ];
    default:
      return [failure(title, fault?.detail ?? '', 'have the issuer put that claim into its access tokens')];
  }
}

function audienceFindings(claims: Claims, { audiences: listed }: IssuerSpec, base: string | undefined): Finding[] {
  const audiences = audiencesOf(claims);
  const ofBackend = (audience: string): boolean =>
    base !== undefined && audience.startsWith(`${base}/adapters/`) && audience.endsWith('/mcp');
  if (isForAll(audiences, listed, base) || audiences.some(ofBackend)) return [];
  const wanted = [...listed, ...(base === undefined ? [] : [base])];
  return [
    failure(
      title,
      `its aud is ${named(audiences)}, but accepted ${wanted.length === 1 ? 'is' : 'are'} ${named(wanted)}`,
      audiences[0] === undefined
        ? 'ask the issuer for a token for the gateway (parameter resource or audience)'
        : `take a token for the gateway, or add ${quoted(audiences[0])} to audiences of the issuer`,
    ),
  ];
}

function isForAll(audiences: readonly string[], listed: readonly string[], base: string | undefined): boolean {
  return audiences.some((audience) => listed.includes(audience) || audience === base || audience === `${base}/`);
}

function subjectFindings(claims: Claims, spec: IssuerSpec): Finding[] {
  const identity = identityOf(claims, spec);
  if (!('kind' in identity) || identity.code !== 'missing_claim') return [];
  return [failure(title, identity.detail, 'name the claim that holds the subject with claims: { subject: … } of the issuer, or a preset')];
}

async function signatureFindings(
  token: string,
  parts: TokenParts,
  spec: IssuerSpec,
  { readKeys }: TokenRules,
  signal: AbortSignal,
): Promise<Finding[]> {
  if (!(spec.algorithms as readonly string[]).includes(parts.alg)) {
    return [
      failure(
        title,
        `it is signed with ${quoted(parts.alg)}; accepted are ${spec.algorithms.join(', ')}`,
        'have the issuer sign with one of these, or add it to algorithms',
      ),
    ];
  }
  // Its own check says why there are none.
  const keys = await within(readKeys(spec, signal), KEYS_TIMEOUT_MS).catch(() => undefined);
  signal.throwIfAborted();
  if (keys === undefined) return [failure(title, 'its signature cannot be checked without the keys of its issuer', 'see the issuer')];
  const proof = await checkSignature(token, parts, keys);
  if (!('kind' in proof)) return [];
  const unknown = proof.code === 'unknown_key';
  return [
    failure(
      title,
      unknown ? `its issuer publishes no such key (${proof.detail})` : `its signature is wrong (${proof.detail})`,
      'take a fresh one',
    ),
  ];
}

function described(claims: Claims, now: number): string {
  const { iss, exp } = claims;
  const end = typeof exp === 'number' ? (exp * 1000 > now ? `, ends in ${span(exp * 1000 - now)}` : `, has expired`) : '';
  return `of ${quoted(iss)} for ${named(audiencesOf(claims))}${end}`;
}

function named(texts: readonly string[]): string {
  if (texts.length === 0) return 'nobody';
  return texts.slice(0, MAX_AUDIENCES_NAMED).map(quoted).join(', ') + (texts.length > MAX_AUDIENCES_NAMED ? ', …' : '');
}

function seconds(time: unknown): number {
  return (time as number) * 1000;
}

function span(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000);
  return minutes < 1 ? `${Math.ceil(milliseconds / 1000)} s` : minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}
