// Callers: the hash that session ids are bound to.

import { expect, test } from 'vitest';
import type { TenantId } from '../core/ids.ts';
import { createPrincipal, localCaller } from './principal.ts';

const principal = (issuer: string, subject: string, tenant = 'a') =>
  createPrincipal({ issuer, subject, tenant: tenant as TenantId, roles: [], scopes: [] });

test('a caller is issuer and subject, 32 bytes, whatever tenant and roles', () => {
  expect(principal('https://a/', 'ann').hash).toHaveLength(32);
  expect(principal('https://a/', 'ann').hash.equals(principal('https://a/', 'ann', 'b').hash)).toBe(true);
});

test('no two pairs are one caller', () => {
  const hashes = [
    principal('https://a/', 'ann'),
    principal('https://a/a', 'nn'),
    principal('https://a', '/ann'),
    principal('https://b/', 'ann'),
    principal('', 'https://a/ann'),
    localCaller,
  ].map(({ hash }) => hash.toString('hex'));
  expect(new Set(hashes).size).toBe(hashes.length);
});
