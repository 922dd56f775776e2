// A spec that is written down says the same again.

import { describe, expect, test } from 'vitest';
import { backendFields } from './backend-spec.ts';
import { issuerSpec } from './issuer-spec.ts';
import { backendText, issuerText, tenantText } from './resource-text.ts';
import { tenantSpec } from './tenant-spec.ts';

describe('backends', () => {
  const image = 'ghcr.io/acme/server:1';
  test.each<Record<string, unknown>>([
    { image },
    { image: 'npm:@acme/server@1.2.3', args: ['--port', '$(PORT)'], transport: 'stdio', replicas: 0, port: 9000 },
    { image, env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'github', key: 'token' } } }], path: '/x', affinity: 'none' },
    { image, sessions: { recovery: 'fail' }, scaling: { toZeroAfter: '15m' } },
    { image, sessions: { idleTimeout: '90s', maxAge: '1d' }, scaling: { startTimeout: '2m', max: 4, sessionsPerReplica: 10 }, replicas: 2 },
    { image, access: {} },
    { image, access: { tenants: ['engineering'], tools: { deny: ['*delete*'] }, toolScopes: { 'delete_*': ['mcp:write'] } } },
    { image, storage: {}, resources: { requests: { cpu: '500m', memory: '256Mi' }, limits: { memory: '1Gi' } } },
    { image, storage: { size: '5Gi', storageClass: 'fast' }, healthCheck: { type: 'mcp' }, trustToolHints: true },
    { url: 'https://mcp.example.com/mcp', upstreamAuth: { header: 'Authorization', prefix: 'Bearer ', valueFrom: { env: 'TOKEN' } } },
  ])('%j', (spec) => {
    const parsed = backendFields.parse(spec);
    const text = backendText(parsed);
    expect(text).toEqual(spec);
    expect(backendFields.parse(text)).toEqual(parsed);
  });

  test('what is written although it is assumed is left out', () => {
    expect(backendText(backendFields.parse({ image, port: 8000, sessions: { idleTimeout: '1800s' }, access: { tenants: [] } }))).toEqual({
      image,
      access: {},
    });
  });
});

test.each<Record<string, unknown>>([
  {},
  { priority: 100, match: [{ issuer: 'https://login.example.com/', claim: 'groups', values: ['eng'] }], onOutage: 'deny' },
  {
    quotas: [
      { requests: 1_000_000, per: '1h' },
      { requests: 60, per: '1m', scope: 'subject', backend: 'github', tool: 'search_*' },
    ],
  },
  { tools: { deny: ['*delete*'] }, limits: { sessions: 200 }, audit: { arguments: true } },
])('tenant %j', (spec) => {
  const text = tenantText(tenantSpec.parse(spec));
  expect(text).toEqual(spec);
});

test.each<Record<string, unknown>>([
  { issuer: 'https://login.example.com/', audiences: ['https://mcp.example.com'] },
  { issuer: 'https://login.microsoftonline.com/t/v2.0', preset: 'entra', audiences: ['id'], claims: { roles: ['roles'] } },
  { issuer: 'https://login.example.com/', algorithms: ['ES256'], leeway: '5s', jwksUri: 'https://login.example.com/keys' },
])('issuer %j', (spec) => {
  expect(issuerText(issuerSpec.parse(spec))).toEqual(spec);
});
