// Every case of the token table, and what is cached, for how long, and what a change of keys does.

import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { createFakeProvider, issuerOf } from '../../test/fakes/identity-provider.ts';
import { createWorldKeys, goodClaims, publishedKeys, type TokenWorld, tokenCases } from '../../test/fixtures/tokens/cases.ts';
import { createTestKey, signToken, type TestKey } from '../../test/fixtures/tokens/keys.ts';
import type { Identity, TokenFault } from './identity.ts';
import { createTokenVerifier } from './token-verifier.ts';

const keys = await createWorldKeys();
const next = await createTestKey('ES256', 'ec-2');
const NOW = 1_800_000_000_000;
const MINUTE = 60_000;
const issuer = 'https://login.example.com/';
const audience = 'https://mcp.example.com';

function open({ url = issuer, ...entry }: Record<string, unknown> & { url?: string } = {}) {
  const provider = createFakeProvider(url, publishedKeys(keys));
  const clock = { now: NOW };
  const lines: string[] = [];
  const outcomes: string[] = [];
  const verifier = createTokenVerifier({
    issuers: [issuerOf({ issuer: url, ...entry })],
    fetch: provider.fetch,
    now: () => clock.now,
    log: pino({ base: null }, { write: (line: string) => void lines.push(line) }),
    onFetch: (_issuer, outcome) => outcomes.push(outcome),
  });
  const world = (): TokenWorld => ({ ...keys, issuer: url, audience, attackerUrl: 'https://evil.example.com/keys', now: clock.now });
  const token = (key: TestKey = keys.rsa, claims: Record<string, unknown> = {}): string => signToken(key, goodClaims(world(), claims));
  return { verifier, provider, clock, lines, outcomes, world, token };
}

const codeOf = (verified: Identity | TokenFault): string | undefined => ('kind' in verified ? verified.code : undefined);
const asIdentity = (verified: Identity | TokenFault | Promise<unknown>): Identity => {
  if (verified instanceof Promise || 'kind' in verified) throw new Error(`no identity at once: ${JSON.stringify(verified)}`);
  return verified;
};

describe.each([issuer, 'https://login.example.com/realms/x'])('tokens of %s', (url) => {
  const { verifier, provider, world, lines } = open({ url });

  it.each(tokenCases)('$name → $status $code', async ({ token, code }) => {
    const text = token(world());
    const verified = await verifier.verify(text);
    // Which of several audiences counts depends on the backend: the verifier says only what is in the token.
    const refused = codeOf(verified) ?? (asIdentity(verified).audiences.includes(audience) ? undefined : 'wrong_audience');
    expect(refused).toBe(code);
    if (!('kind' in verified)) expect(verified).toMatchObject({ issuer: url, subject: 'ann' });
    else expect(verified.detail).not.toContain(text.slice(0, 60) || '-');
  });

  it('nobody but the issuer was asked for keys, and no token is in the log', () => {
    expect(provider.asked.every((asked) => asked.startsWith('https://login.example.com/'))).toBe(true);
    expect(lines.join('')).not.toContain('eyJ');
  });
});

it('a token that was seen is answered at once with the same object, until it ends', async () => {
  const { verifier, provider, clock, token } = open();
  const text = token();
  const identity = await verifier.verify(text);
  expect(asIdentity(verifier.verify(text))).toBe(identity);
  clock.now += 5 * MINUTE + 29_999;
  expect(asIdentity(verifier.verify(text))).toBe(identity);
  clock.now += 1;
  expect(verifier.verify(text)).toMatchObject({ code: 'expired' });
  expect(provider.asked).toHaveLength(2);
});

it('a token that comes many times at once is verified once', async () => {
  const { verifier, token } = open();
  const text = token();
  const [one, two] = await Promise.all([verifier.verify(text), verifier.verify(text)]);
  expect(one).toBe(two);
});

it('a token is read by the rules of its own issuer', async () => {
  const { verifier, token } = open({ audiences: ['api://a', audience], preset: 'entra', algorithms: ['RS256'] });
  expect(await verifier.verify(token(keys.rsa, { oid: 'object', tid: 'directory', groups: ['eng'] }))).toMatchObject({
    subject: 'object',
    tenant: 'directory',
    roles: ['dev', 'eng'],
    listedAudience: true,
  });
  expect(await verifier.verify(token())).toMatchObject({ code: 'missing_claim' });
  expect(await verifier.verify(token(keys.ec))).toMatchObject({ code: 'algorithm_not_allowed', detail: `alg "ES256" of "${issuer}"` });
});

it('an unknown issuer is named, and a missing slash explained', async () => {
  const { verifier, token } = open();
  expect(await verifier.verify(token(keys.rsa, { iss: 'https://login.example.com' }))).toMatchObject({
    code: 'unknown_issuer',
    detail:
      'its issuer is "https://login.example.com", but "https://login.example.com/" is configured: they differ in the slash at the end, which counts',
  });
  expect(await verifier.verify(token(keys.rsa, { iss: `https://${'x'.repeat(300)}` }))).toMatchObject({
    detail: `iss is "https://${'x'.repeat(192)}"…`,
  });
});

describe('when the issuer changes its keys', () => {
  it('a token with the new one is taken at once', async () => {
    const { verifier, provider, token } = open();
    await verifier.verify(token());
    provider.documents.set(provider.keysUrl, { keys: [keys.rsa.jwk, next.jwk] });
    expect(await verifier.verify(token(next))).toMatchObject({ subject: 'ann' });
  });

  it('a new one under the old name is taken too', async () => {
    const { verifier, provider, token } = open();
    await verifier.verify(token(keys.ec));
    provider.documents.set(provider.keysUrl, { keys: [{ ...next.jwk, kid: keys.ec.kid }] });
    expect(await verifier.verify(token({ ...next, kid: keys.ec.kid }))).toMatchObject({ subject: 'ann' });
  });

  it('cached tokens of a withdrawn one are refused after the next refresh, the others stay the same objects', async () => {
    const { verifier, provider, clock, token } = open();
    const [stays, goes] = [token(keys.rsa, { exp: 2e9 }), token(keys.ec, { exp: 2e9 })];
    const identity = await verifier.verify(stays);
    await verifier.verify(goes);
    provider.documents.set(provider.keysUrl, { keys: [keys.rsa.jwk] });
    clock.now += 10 * MINUTE;
    void verifier.verify(goes);
    await expect.poll(() => verifier.verify(goes)).toMatchObject({ code: 'unknown_key' });
    expect(asIdentity(verifier.verify(stays))).toBe(identity);
  });
});

describe('when the keys cannot be read', () => {
  it('nothing is refused as bad that may be good', async () => {
    const { verifier, provider, clock, token, outcomes } = open();
    const text = token();
    await verifier.verify(text);
    provider.documents.set(provider.keysUrl, '<html>');
    expect(codeOf(await verifier.verify(token(next)))).toBe('keys_unavailable');
    expect(codeOf(await verifier.verify(token(keys.attacker)))).toBe('keys_unavailable');
    expect(codeOf(await verifier.verify(signToken(keys.attacker, { ...goodClaims(open().world()) }, { kid: keys.rsa.kid })))).toBe(
      'bad_signature',
    );
    clock.now += MINUTE;
    expect(await verifier.verify(token())).toMatchObject({ subject: 'ann' });
    expect(asIdentity(verifier.verify(text)).subject).toBe('ann');
    expect(outcomes).toEqual(['ok', 'failed']);
  });

  it('and never could be, every token of the issuer waits for better times; a bad one is still bad', async () => {
    const { verifier, provider, clock, token, lines } = open({ jwksUri: 'https://login.example.com/elsewhere' });
    expect(codeOf(await verifier.verify(token()))).toBe('keys_unavailable');
    expect(codeOf(await verifier.verify('garbage'))).toBe('token_malformed');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      msg: 'issuer keys cannot be read',
      issuer,
      reason: 'https://login.example.com/elsewhere: status 404',
    });
    provider.documents.set('https://login.example.com/elsewhere', publishedKeys(keys));
    clock.now += 1000;
    expect(await verifier.verify(token())).toMatchObject({ subject: 'ann' });
    expect(new Set(provider.asked)).toEqual(new Set(['https://login.example.com/elsewhere']));
  });

  it('because they moved, they are looked for again', async () => {
    const { verifier, provider, clock, token } = open();
    await verifier.verify(token());
    provider.documents.delete(provider.keysUrl);
    provider.documents.set('https://login.example.com/new', { keys: [next.jwk] });
    provider.documents.set('https://login.example.com/.well-known/openid-configuration', {
      issuer,
      jwks_uri: 'https://login.example.com/new',
    });
    expect(codeOf(await verifier.verify(token(next)))).toBe('keys_unavailable');
    clock.now += 1000;
    expect(await verifier.verify(token(next))).toMatchObject({ subject: 'ann' });
  });
});

it('tokens with unknown keys and bad signatures lead to one fetch in 30 s, whoever sends them', async () => {
  const { verifier, provider, world, token } = open();
  await verifier.verify(token());
  for (let at = 0; at < 50; at += 1) {
    expect(codeOf(await verifier.verify(signToken(keys.rsa, goodClaims(world()), { kid: `kid-${at}` })))).toBe('unknown_key');
    expect(codeOf(await verifier.verify(signToken(keys.attacker, goodClaims(world(), { at }), { kid: keys.rsa.kid })))).toBe(
      'bad_signature',
    );
  }
  expect(provider.asked.filter((url) => url === provider.keysUrl)).toHaveLength(2);
});
