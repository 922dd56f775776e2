// What a token must have for the tools that a request calls.

import { expect, test } from 'vitest';
import { hasScopes, missingScopes } from './scopes.ts';

test('every scope counts, in any order', () => {
  expect(hasScopes(['b', 'a', 'c'], ['a', 'b'])).toBe(true);
  expect(hasScopes(['a'], ['a', 'b'])).toBe(false);
  expect(hasScopes([], [])).toBe(true);
});

const rules = [
  ['delete_*', ['mcp:write']],
  ['*_all', ['mcp:admin']],
] as const;

test.each([
  [['read_one'], [], undefined],
  [['delete_one'], [], ['mcp:write']],
  [['delete_one'], ['mcp:write'], undefined],
  [['delete_all'], ['mcp:write'], ['mcp:write', 'mcp:admin']],
  [['read_one', 'delete_one'], [], ['mcp:write']],
  [[undefined], [], ['mcp:write', 'mcp:admin']],
  [[], [], undefined],
])('%s with %s lacks %s', (tools, granted, missing) => {
  expect(missingScopes(granted, rules, tools)).toEqual(missing);
});
