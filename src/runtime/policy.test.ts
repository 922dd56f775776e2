// From resource to directory entry.

import { expect, it } from 'vitest';
import { parseResourceText } from '../config/resource-files.ts';
import type { BackendResource } from '../config/resources.ts';
import { toPolicy } from './policy.ts';

function policy(spec: object, secret?: string) {
  const resource = { apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend', metadata: { name: 'one' }, spec };
  const { resources, problems } = parseResourceText(JSON.stringify(resource), '/a.json');
  expect(problems).toEqual([]);
  return toPolicy(resources[0] as BackendResource, secret);
}

it('fills in what is not declared', () => {
  expect(policy({ image: 'exec:x' })).toEqual({
    name: 'one',
    path: '/mcp',
    affinity: 'session',
    tools: undefined,
    access: undefined,
    creator: undefined,
    trustToolHints: false,
    sessions: { recovery: 'reinitialize', idleTimeoutMs: 30 * 60_000, maxAgeMs: 30 * 86_400_000 },
    startTimeoutMs: 45_000,
    remote: undefined,
  });
});

it('lets nobody wait for longer than clients do', () => {
  expect(policy({ image: 'exec:x', scaling: { startTimeout: '5m' } }).startTimeoutMs).toBe(50_000);
});

it.each([
  [undefined, undefined],
  [{ allow: ['*'] }, undefined],
  [{ allow: ['*'], deny: [] }, undefined],
  [{ allow: ['a'] }, { allow: ['a'], deny: [] }],
  [{ deny: ['a'] }, { allow: ['*'], deny: ['a'] }],
  [{ allow: [] }, { allow: [], deny: [] }],
  [{ allow: ['*', 'a'] }, { allow: ['*', 'a'], deny: [] }],
])('tools %j become %j', (tools, expected) => {
  expect(policy({ image: 'exec:x', access: tools === undefined ? {} : { tools } }).tools).toEqual(expected);
});

it.each([
  ['https://mcp.example.com/v1/mcp', '/v1/mcp', { authority: 'mcp.example.com', tls: true }],
  ['http://mcp.example.com:8443', '/', { authority: 'mcp.example.com:8443', tls: false }],
  ['https://[2001:db8::1]:444/mcp', '/mcp', { authority: '[2001:db8::1]:444', tls: true }],
])('%s is asked for %s', (url, path, remote) => {
  expect(policy({ url })).toMatchObject({ path, remote });
});

it('has the header of upstreamAuth only together with its value', () => {
  const spec = { url: 'https://x/', upstreamAuth: { header: 'X-Api-Key', valueFrom: { env: 'A' } } };
  expect(policy(spec).remote?.auth).toBeUndefined();
  expect(policy(spec, 'v').remote?.auth).toEqual({ header: 'x-api-key', value: 'v' });
});
