// Identity headers: whatever a claim holds, it is one value of one header and can be read back.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyText } from '../../test/fakes/texts.ts';
import type { TenantId } from '../core/ids.ts';
import { identityHeaders } from './identity-headers.ts';

const headersOf = (subject: string, roles: readonly string[] = []) =>
  Object.fromEntries(identityHeaders({ issuer: 'i', subject, tenant: 'default' as TenantId, roles }));

test('ordinary names stay as they are', () => {
  expect(headersOf('auth0|a@example.com', ['dev', 'mcp.admin'])).toEqual({
    'x-mcp-subject': 'auth0|a@example.com',
    'x-mcp-tenant': 'default',
    'x-mcp-roles': 'dev,mcp.admin',
  });
});

test('every value is a legal header and comes back by decoding', () => {
  fc.assert(
    fc.property(anyText(), fc.array(anyText({ minLength: 1 })), (subject, roles) => {
      const headers = headersOf(subject, roles);
      for (const value of Object.values(headers)) expect(value).toMatch(/^[\x21-\x7e]*$/);
      expect(decodeURIComponent(headers['x-mcp-subject'] ?? '')).toBe(subject);
      expect((headers['x-mcp-roles'] ?? '').split(',').map(decodeURIComponent)).toEqual(roles.length === 0 ? [''] : roles);
    }),
    { seed: 20260728, numRuns: 100 },
  );
});

test('two subjects are never one, and one role is never two', () => {
  expect(headersOf('a b')['x-mcp-subject']).not.toBe(headersOf('a%20b')['x-mcp-subject']);
  expect(headersOf('x', ['dev,mcp.admin'])['x-mcp-roles']).toBe('dev%2Cmcp.admin');
});

test('a lone surrogate and line breaks do no harm', () => {
  expect(headersOf('\ud800')['x-mcp-subject']).toBe('%EF%BF%BD');
  expect(headersOf('a\r\nx-mcp-roles: mcp.admin')['x-mcp-subject']).toBe('a%0D%0Ax-mcp-roles%3A%20mcp.admin');
});
