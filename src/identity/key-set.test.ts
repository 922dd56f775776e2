// Which keys of a JWKS are used, and for what.

import { describe, expect, it } from 'vitest';
import { createTestKey } from '../../test/fixtures/tokens/keys.ts';
import { readKeySet, sameKeys } from './key-set.ts';

const [rsa, ec, ed] = await Promise.all([createTestKey('RS256', 'rsa-1'), createTestKey('ES256', 'ec-1'), createTestKey('EdDSA', 'ed-1')]);
const withoutAlg = { ...rsa.jwk, alg: undefined };
const count = (keys: readonly unknown[], alg: string, kid?: string) => readKeySet({ keys }).candidates(alg, kid).length;

describe('a key', () => {
  it.each([
    ['of the name and algorithm', [rsa.jwk, ec.jwk], 'RS256', 'rsa-1', 1],
    ['of the algorithm, without a name in the token', [rsa.jwk, ec.jwk], 'RS256', undefined, 1],
    ['of another name', [rsa.jwk], 'RS256', 'rsa-2', 0],
    ['of another type', [rsa.jwk], 'ES256', 'rsa-1', 0],
    ['bound to another algorithm', [rsa.jwk], 'PS256', 'rsa-1', 0],
    ['not bound to an algorithm', [withoutAlg], 'PS512', 'rsa-1', 1],
    ['of another curve', [{ ...ec.jwk, alg: undefined }], 'ES384', 'ec-1', 0],
    ['Ed25519 by its newer name', [{ ...ed.jwk, alg: undefined }], 'Ed25519', 'ed-1', 1],
    ['for an algorithm that is unknown', [withoutAlg], 'HS256', 'rsa-1', 0],
    ['two of one name', [withoutAlg, withoutAlg], 'RS256', 'rsa-1', 2],
  ])('%s', (_what, keys, alg, kid, candidates) => {
    expect(count(keys, alg, kid)).toBe(candidates);
  });

  it.each([
    ['for encryption', { ...rsa.jwk, use: 'enc' }],
    ['not for verifying', { ...rsa.jwk, key_ops: ['encrypt'] }],
    ['symmetric', { kty: 'oct', kid: 'rsa-1', k: 'c2VjcmV0' }],
    ['public with a secret part', { ...rsa.jwk, d: 'x' }],
    ['private', { ...ec.privateKey.export({ format: 'jwk' }), kid: 'rsa-1' }],
    ['too short', { ...rsa.jwk, n: 'AQAB'.repeat(43) }],
    ['half', { ...rsa.jwk, n: undefined }],
    ['of unknown type', { kty: 'AKP', kid: 'rsa-1', pub: 'x' }],
    ['no object', 'key'],
    ['null', null],
  ])('is passed over: %s', (_what, key) => {
    const set = readKeySet({ keys: [key, ec.jwk] });
    expect([set.ids.size, set.ignored, set.candidates('RS256', 'rsa-1')]).toEqual([1, 1, []]);
  });
});

it.each([
  ['an empty set', { keys: [] }, 'no key that can be used'],
  ['only secrets', { keys: [{ kty: 'oct', k: 'x' }] }, 'no key that can be used'],
  ['no set', { keys: {} }, 'not a JSON Web Key Set'],
  ['an array', [rsa.jwk], 'not a JSON Web Key Set'],
  ['null', null, 'not a JSON Web Key Set'],
  ['too many', { keys: Array(101).fill(rsa.jwk) }, 'more than 100 keys'],
])('%s is refused', (_what, document, message) => {
  expect(() => readKeySet(document)).toThrow(message);
});

it('no more than four keys are tried for a token that names none', () => {
  expect(count(Array(9).fill(rsa.jwk), 'RS256')).toBe(4);
});

it('sets are the same when their keys are, whatever else stands there', () => {
  const set = readKeySet({ keys: [rsa.jwk, ec.jwk] });
  expect(sameKeys(set, readKeySet({ keys: [ec.jwk, { ...rsa.jwk, x5t: 'x' }] }))).toBe(true);
  expect(sameKeys(set, readKeySet({ keys: [rsa.jwk] }))).toBe(false);
  expect(sameKeys(set, readKeySet({ keys: [rsa.jwk, { ...ec.jwk, kid: 'ec-2' }] }))).toBe(false);
});

it('broken material is found out when it is used', async () => {
  const [key] = readKeySet({ keys: [{ ...ec.jwk, x: 'AAAA' }] }).candidates('ES256', 'ec-1');
  await expect(key?.forAlgorithm('ES256')).rejects.toBeInstanceOf(Error);
});
