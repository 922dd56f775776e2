// What an entry of `issuers` may say, what it means with each preset, and how mistakes are told.

import { describe, expect, it } from 'vitest';
import { issuersSetting } from './issuer-spec.ts';

const context = { baseDir: '/etc/gateway', homeDir: '/home/me' };
const parse = (raw: unknown) => issuersSetting(raw, context);
const issuer = 'https://login.example.com/';

describe('an issuer', () => {
  it('needs nothing but its name, which stays as it is written', () => {
    expect(parse([{ issuer: 'https://Login.Example.com/a/' }])).toEqual([
      {
        issuer: 'https://Login.Example.com/a/',
        audiences: [],
        algorithms: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
        claims: { subject: 'sub', roles: ['roles'], scopes: ['scope', 'scp'] },
        leeway: 30_000,
      },
    ]);
  });

  it.each([
    ['entra', { subject: 'oid', tenant: 'tid', roles: ['roles', 'groups'], scopes: ['scp'] }],
    ['keycloak', { subject: 'sub', roles: ['realm_access.roles', 'groups'], scopes: ['scope'] }],
    ['okta', { subject: 'sub', roles: ['groups'], scopes: ['scp'] }],
    ['auth0', { subject: 'sub', roles: ['roles'], scopes: ['scope', 'permissions'] }],
  ])('with the preset %s reads its claims, except those that it names itself', (preset, claims) => {
    expect(parse([{ issuer, preset }])[0]?.claims).toEqual(claims);
    expect(parse([{ issuer, preset, claims: { roles: ['https://example.com/roles'] } }])[0]?.claims).toEqual({
      ...claims,
      roles: ['https://example.com/roles'],
    });
  });

  it.each(['http://127.0.0.1:4000', 'http://localhost/x', 'http://[::1]:1/'])('may speak plain HTTP on this machine: %s', (url) => {
    expect(parse([{ issuer: url }])[0]?.issuer).toBe(url);
  });

  it('comes from the environment as JSON or YAML', () => {
    const [fromJson] = parse(`[{"issuer":"${issuer}","leeway":"2m"}]`);
    expect(fromJson).toMatchObject({ issuer, leeway: 120_000 });
    expect(parse(`- issuer: ${issuer}\n  leeway: 2m`)).toEqual([fromJson]);
    expect(parse('')).toEqual([]);
  });
});

describe('refused', () => {
  it.each<[string, unknown, RegExp]>([
    ['no list', { issuer }, /must be a list of at most 50 issuers/],
    ['too many', Array.from({ length: 51 }, (_, at) => ({ issuer: `https://${at}.example.com` })), /must be a list of at most 50 issuers/],
    ['broken text', '[{', /must be a list in JSON or YAML/],
    ['no issuer', [{}], /0: issuer: /],
    ['not an object', ['https://login.example.com/'], /0: /],
    ['plain HTTP', [{ issuer: 'http://login.example.com/' }], /0: issuer: must begin with https:\/\//],
    ['a look-alike of this machine', [{ issuer: 'http://localhost.example.com/' }], /must begin with https/],
    ['a password', [{ issuer: 'https://a:b@login.example.com/' }], /must not contain a user or password/],
    ['a query', [{ issuer: `${issuer}?a=1` }], /must not contain a query or fragment/],
    ['spaces', [{ issuer: `${issuer} ` }], /must be a URL/],
    ['no URL', [{ issuer: 'login' }], /must be a URL/],
    ['keys over plain HTTP', [{ issuer, jwksUri: 'http://login.example.com/keys' }], /0: jwksUri: must begin with https/],
    ['two ways to the keys', [{ issuer, jwksUri: issuer, discoveryUrl: issuer }], /0: discoveryUrl: is not used with jwksUri/],
    ['none', [{ issuer, algorithms: ['none'] }], /0: algorithms.0: must be one of RS256/],
    ['HMAC', [{ issuer, algorithms: ['RS256', 'HS256'] }], /0: algorithms.1: must be one of RS256/],
    ['no algorithm', [{ issuer, algorithms: [] }], /0: algorithms: /],
    ['too much leeway', [{ issuer, leeway: '3m' }], /0: leeway: must be at most 2m/],
    ['unknown preset', [{ issuer, preset: 'azure' }], /0: preset: .*entra/],
    ['one twice', [{ issuer }, { issuer }], /1: issuer: "https:\/\/login.example.com\/" is given twice/],
  ])('%s', (_what, raw, message) => {
    expect(() => parse(raw)).toThrow(message);
  });

  it('with all mistakes at once', () => {
    const raw = [{ issuer, audience: 'x', claims: { role: 'x' } }, { issuer: 'x', leeway: 30 }, { issuer }];
    expect(() => parse(raw)).toThrow(
      /^has mistakes: .*0: claims.role: unknown field; 0: audience: unknown field; 1: issuer: .*; 1: leeway: .*; 2: issuer: .* is given twice$/,
    );
  });
});
