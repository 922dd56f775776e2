// What is said of a token: each thing that is wrong with it, and never the token itself.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createFakeProvider, issuerOf } from '../../../test/fakes/identity-provider.ts';
import { createTestKey, signToken } from '../../../test/fixtures/tokens/keys.ts';
import { createReadKeys } from './issuers.ts';
import { judgeToken, readTokenFile } from './token.ts';

const NOW = 1_800_000_000_000;
const issuer = 'https://login.example.com/';
const base = 'https://mcp.example.com';
const key = await createTestKey('ES256', 'key-1');
const stranger = await createTestKey('ES256', 'key-1');
const other = await createTestKey('ES256', 'key-2');
const claims = { iss: issuer, sub: 'ann', aud: 'mcp', exp: NOW / 1000 + 300 };
const { signal } = new AbortController();

function judge(token: string, spec: Record<string, unknown> = {}) {
  const { fetch } = createFakeProvider(issuer, { keys: [key.jwk] });
  const issuers = [issuerOf({ issuer, audiences: ['mcp'], ...spec })];
  return judgeToken(token, { issuers, readKeys: createReadKeys(fetch), base, now: NOW }, signal);
}

test('a good one is described, and may be used for every backend', async () => {
  const token = signToken(key, claims);
  const { findings, good } = await judge(token);
  expect(findings).toEqual([{ check: 'token', subject: undefined, state: 'ok', message: `of "${issuer}" for "mcp", ends in 5 min` }]);
  expect([good?.token, good?.opens('github')]).toEqual([token, true]);
});

test('one for a backend opens that one alone', async () => {
  const { findings, good } = await judge(signToken(key, { ...claims, aud: `${base}/adapters/github/mcp` }));
  expect(findings[0]?.state).toBe('ok');
  expect([good?.opens('github'), good?.opens('jira')]).toEqual([true, false]);
  expect((await judge(signToken(key, { ...claims, aud: base }))).good?.opens('jira')).toBe(true);
});

test.each<[string, Record<string, unknown>, RegExp, RegExp]>([
  [
    'another iss',
    { iss: 'https://login.example.com' },
    /^its iss is "https:\/\/login\.example\.com", but "https:\/\/login\.example\.com\/" is configured: they differ in the slash/,
    /letter by letter/,
  ],
  [
    'no iss',
    { iss: undefined },
    /^its iss is absent, but configured is "https:\/\/login\.example\.com\/"$/,
    /^take a token of a configured issuer/,
  ],
  ['expired', { exp: NOW / 1000 - 3600 }, /^it has expired, 60 min ago$/, /^take a fresh one$/],
  ['not yet valid', { nbf: NOW / 1000 + 600 }, /^it is valid only in 10 min$/, /clocks/],
  ['no exp', { exp: undefined }, /^exp is missing/, /claim/],
  [
    'wrong audience',
    { aud: ['api', 'b'] },
    /^its aud is "api", "b", but accepted are "mcp", "https:\/\/mcp\.example\.com"$/,
    /add "api" to audiences/,
  ],
  ['no audience', { aud: undefined }, /^its aud is nobody, but accepted are/, /ask the issuer/],
  ['no subject', { sub: undefined }, /^sub is missing/, /claims/],
])('%s', async (_, changed, message, advice) => {
  const { findings, good } = await judge(signToken(key, { ...claims, ...changed }));
  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatchObject({ state: 'failure', message: expect.stringMatching(message), advice: expect.stringMatching(advice) });
  expect(good).toBeUndefined();
});

test('all that is wrong is said at once', async () => {
  const { findings } = await judge(signToken(stranger, { ...claims, aud: 'api', exp: 1 }));
  expect(findings.map(({ message }) => message.split(/[ (]/).slice(0, 3).join(' '))).toEqual([
    'it has expired,',
    'its aud is',
    'its signature is',
  ]);
});

test.each([
  ['a key that nobody publishes', signToken(other, claims), {}, /^its issuer publishes no such key \(kid "key-2"/],
  ['a forbidden algorithm', signToken(key, claims), { algorithms: ['RS256'] }, /^it is signed with "ES256"; accepted are RS256$/],
  ['no JWT', 'opaque-text', {}, /^it is no token that the gateway reads: not three parts$/],
])('%s', async (_, token, spec, message) => {
  expect((await judge(token, spec)).findings).toMatchObject([{ state: 'failure', message: expect.stringMatching(message) }]);
});

test('no finding holds any part of a token', async () => {
  for (const token of [
    signToken(key, claims),
    signToken(other, { ...claims, aud: 'x' }),
    signToken(stranger, claims),
    'a.b.c',
    'secret-text',
  ]) {
    const text = JSON.stringify((await judge(token)).findings);
    for (const part of token.split('.').filter((each) => each.length > 1)) expect(text).not.toContain(part);
  }
});

test('a file holds it alone, or as a header does', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'doctor-'));
  try {
    const file = join(folder, 'token');
    for (const text of ['a.b.c', 'a.b.c\n', 'Bearer a.b.c\n', 'Authorization: Bearer a.b.c']) {
      writeFileSync(file, text);
      expect(await readTokenFile(file)).toBe('a.b.c');
    }
    await expect(readTokenFile(join(folder, 'none'))).rejects.toThrow(/none: there is no such file$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
