// What becomes of the claims of a good token, with the presets of identity providers.

import { describe, expect, it } from 'vitest';
import { issuerOf } from '../../test/fakes/identity-provider.ts';
import type { Identity } from './identity.ts';
import { identityOf, timeFault } from './identity-of.ts';

const issuer = 'https://login.example.com/';
const base = { iss: issuer, aud: 'https://mcp.example.com', exp: 2_000 };

describe('tokens as they come from', () => {
  it.each<[string, Record<string, unknown>, Partial<Identity>]>([
    [
      'entra',
      { sub: 'pairwise', oid: 'object', tid: 'directory', scp: 'mcp.read mcp.write', roles: ['Dev'], groups: ['g1'] },
      { subject: 'object', tenant: 'directory', roles: ['Dev', 'g1'], scopes: ['mcp.read', 'mcp.write'] },
    ],
    [
      'keycloak',
      { sub: 'ann', realm_access: { roles: ['dev'] }, resource_access: { x: { roles: ['no'] } }, groups: ['/eng'], scope: 'openid mcp' },
      { subject: 'ann', tenant: undefined, roles: ['dev', '/eng'], scopes: ['openid', 'mcp'] },
    ],
    ['okta', { sub: 'ann@example.com', scp: ['mcp'], groups: ['eng'] }, { subject: 'ann@example.com', roles: ['eng'], scopes: ['mcp'] }],
    ['auth0', { sub: 'auth0|1', scope: 'openid', permissions: ['mcp:read'] }, { subject: 'auth0|1', scopes: ['openid', 'mcp:read'] }],
  ])('%s', (preset, claims, identity) => {
    expect(identityOf({ ...base, ...claims }, issuerOf({ issuer, preset }))).toMatchObject({ issuer, expiresAt: 2_000_000, ...identity });
  });
});

it('names of claims can be set, and lead into objects', () => {
  const claims = { subject: 'user.id', tenant: 'https://example.com/org', roles: ['a.b'], scopes: ['perm'] };
  const token = { ...base, user: { id: 'ann' }, 'https://example.com/org': 'acme', a: { b: ['x'] }, perm: 'r w' };
  expect(identityOf(token, issuerOf({ issuer, claims }))).toMatchObject({
    subject: 'ann',
    tenant: 'acme',
    roles: ['x'],
    scopes: ['r', 'w'],
  });
});

it('the audience is listed or not, and any claim can be asked for', () => {
  const spec = issuerOf({ issuer, audiences: ['api://mcp'] });
  const identity = identityOf({ ...base, sub: 'ann', aud: ['other', 'api://mcp'], dept: 'eng' }, spec) as Identity;
  expect(identity).toMatchObject({ audiences: ['other', 'api://mcp'], listedAudience: true });
  expect(identity.claim('dept')).toEqual(['eng']);
  expect(identityOf({ ...base, sub: 'ann' }, spec)).toMatchObject({ listedAudience: false });
});

it.each([
  ['the end itself', 130_000, 'expired'],
  ['a moment before', 129_999, undefined],
  ['the beginning itself', 20_000, undefined],
  ['a moment before it', 19_999, 'not_yet_valid'],
])('a token of 50 to 100 with a leeway of 30: %s', (_what, now, code) => {
  expect(timeFault({ exp: 100, nbf: 50 }, { now, leeway: 30_000 })?.code).toBe(code);
});
