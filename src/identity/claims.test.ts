// Claims as they are found in tokens of all sorts, and what is left of strange ones.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { audiencesOf, claimTexts, isName, roleTexts, scopeTexts } from './claims.ts';

it.each([
  ['a text', { groups: 'eng' }, 'groups', ['eng']],
  ['an array', { groups: ['eng', 'ops'] }, 'groups', ['eng', 'ops']],
  ['a way into objects', { realm_access: { roles: ['dev'] } }, 'realm_access.roles', ['dev']],
  ['a name with dots', { 'https://example.com/roles': ['dev'] }, 'https://example.com/roles', ['dev']],
  ['a way through a name with dots', { resource_access: { 'my.client': { roles: ['dev'] } } }, 'resource_access.my.client.roles', ['dev']],
  ['the very name first', { 'a.b': 'name', a: { b: 'way' } }, 'a.b', ['name']],
  ['the way when another begins alike', { a: { x: 1 }, 'a.b': { c: 'found' } }, 'a.b.c', ['found']],
  ['absent', {}, 'groups', []],
  ['not an own one', {}, 'constructor.name', []],
  ['a number', { groups: 7 }, 'groups', []],
  ['an object', { groups: { a: 'b' } }, 'groups', []],
  ['a mixed array', { groups: ['eng', 7, null, ['x'], '', 'a\nb', 'x'.repeat(257)] }, 'groups', ['eng']],
])('a claim: %s', (_what, claims, name, texts) => {
  expect(claimTexts(claims, name)).toEqual(texts);
});

it('roles come from several claims, each once, not without end', () => {
  expect(roleTexts({ roles: ['a', 'b'], groups: ['b', 'c'] }, ['roles', 'groups', 'none'])).toEqual(['a', 'b', 'c']);
  const many = Array.from({ length: 1000 }, (_, at) => `role-${at}`);
  expect(roleTexts({ roles: many, groups: many.map((name) => `${name}x`) }, ['roles', 'groups'])).toHaveLength(256);
});

it('scopes are words of a text or entries of an array', () => {
  expect(scopeTexts({ scope: 'read  write', scp: ['write', 'admin'] }, ['scope', 'scp'])).toEqual(['read', 'write', 'admin']);
  expect(scopeTexts({ scope: 7, scp: 'read' }, ['scope', 'scp'])).toEqual(['read']);
});

it('audiences are a text or an array of texts', () => {
  expect(audiencesOf({ aud: 'a' })).toEqual(['a']);
  expect(audiencesOf({ aud: ['a', 7, 'b', ''] })).toEqual(['a', 'b']);
  expect([{}, { aud: 7 }, { aud: {} }, { aud: '' }, { aud: 'x'.repeat(1025) }].flatMap(audiencesOf)).toEqual([]);
});

it('nothing that JSON can hold makes them throw', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), (claims, name) => {
      const all = { ...claims, aud: claims[name] };
      const texts = [...claimTexts(all, name), ...roleTexts(all, [name]), ...scopeTexts(all, [name])];
      expect(texts.every(isName)).toBe(true);
      expect(audiencesOf(all).every((audience) => typeof audience === 'string')).toBe(true);
    }),
    { numRuns: 300 },
  );
});
