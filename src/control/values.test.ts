// What the values file says, and what it must never say.

import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { issuerSpec } from '../config/issuer-spec.ts';
import { documentOf } from '../config/resource-document.ts';
import { type BackendResource, parseResource, type TenantResource } from '../config/resources.ts';
import type { Actor } from './actor.ts';
import { ControlRefusal } from './refusal.ts';
import { createValuesControl, type ValuesSettings } from './values.ts';

const SECRET = 'hunter2-is-no-password';
const admin: Actor = { issuer: 'i', subject: 'root', rank: 'admin', tenant: 'default', roles: [] };
const nobody: Actor = { ...admin, rank: undefined };
const settings: ValuesSettings = {
  ...{ issuers: [], publicUrl: undefined, redisUrl: undefined, namespace: 'mcp', gatewayNamespace: 'mcp-gateway' },
  ...{ adminRoles: ['mcp.admin'], operatorRoles: ['mcp.operator'], viewerRoles: ['mcp.viewer'] },
  ...{ allowedImages: [], allowedOrigins: undefined, onRevocationOutage: undefined },
};
const backend = (name: string, spec: Record<string, unknown>) =>
  parseResource(documentOf('MCPBackend', name, spec), { file: 'a.yaml', label: name }) as BackendResource;
const tenant = (name: string, spec: Record<string, unknown>) =>
  parseResource(documentOf('MCPTenant', name, spec), { file: 'a.yaml', label: name }) as TenantResource;

const image = 'ghcr.io/acme/server:1';
const declared = {
  backends: [
    backend('github', {
      image,
      env: [
        { name: 'TOKEN', value: SECRET },
        { name: 'OTHER', valueFrom: { secretKeyRef: { name: 'shared', key: 'other' } } },
        { name: 'LISTEN', value: ':$(PORT)' },
      ],
      access: { tenants: ['engineering'] },
    }),
    backend('local', { image: 'exec:./server' }),
    backend('remote', {
      url: 'https://mcp.example.com/mcp',
      upstreamAuth: { header: 'Authorization', prefix: 'Bearer ', valueFrom: { env: 'REMOTE_TOKEN' } },
    }),
  ],
  tenants: [tenant('engineering', { quotas: [{ requests: 5_000_000, per: '1h' }] })],
};
const make = (body: unknown, over: Partial<ValuesSettings> = {}, actor = admin) => {
  const control = createValuesControl({
    declared: { backends: () => declared.backends, tenants: () => declared.tenants },
    settings: { ...settings, ...over },
  });
  const made = control.make(body, actor);
  return { ...made, parsed: parse(made.values, { version: '1.1' }) as Record<string, unknown> };
};
const refusal = (body: unknown, actor = admin): unknown => {
  try {
    make(body, {}, actor);
  } catch (error) {
    if (error instanceof ControlRefusal) return { code: error.code, message: error.message };
    throw error;
  }
  return undefined;
};

describe('what is declared', () => {
  test('is all in the file, but for programs of this machine', () => {
    const { parsed, notes } = make({});
    expect(parsed).toEqual({
      issuers: [],
      tenants: { engineering: { quotas: [{ requests: 5_000_000, per: '1h' }] } },
      backends: {
        github: {
          image,
          env: [
            { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'github', key: 'TOKEN' } } },
            { name: 'OTHER', valueFrom: { secretKeyRef: { name: 'shared', key: 'other' } } },
            { name: 'LISTEN', value: ':$(PORT)' },
          ],
          access: { tenants: ['engineering'] },
        },
        remote: {
          url: 'https://mcp.example.com/mcp',
          upstreamAuth: {
            ...{ header: 'Authorization', prefix: 'Bearer ', valueFrom: { secretKeyRef: { name: 'remote', key: 'REMOTE_TOKEN' } } },
          },
        },
      },
      upstreamSecrets: ['remote'],
      gateway: { replicas: 1 },
    });
    expect(notes.join('\n')).toContain('local is left out: exec:./server is a program of this machine');
  });

  test('values of variables are nowhere; it is said which Secrets are to be made', () => {
    const made = make({
      backends: [...declared.backends.map(({ name }) => ({ name })), { name: 'new', image, environmentVariables: { A: SECRET } }],
    });
    expect(JSON.stringify(made)).not.toContain(SECRET);
    expect(made.values).toContain('put TOKEN into the Secret github');
    expect(made.secrets).toEqual([
      { namespace: 'mcp-gateway', name: 'remote', keys: ['REMOTE_TOKEN'], command: expect.any(String) as string },
      {
        namespace: 'mcp',
        name: 'github',
        keys: ['TOKEN'],
        command: "kubectl create secret generic github --namespace mcp --from-literal=TOKEN='…'",
      },
      { namespace: 'mcp', name: 'shared', keys: ['other'], command: expect.any(String) as string },
      { namespace: 'mcp', name: 'new', keys: ['A'], command: expect.any(String) as string },
    ]);
  });

  test('settings that hold anywhere come along', () => {
    const issuers = [issuerSpec.parse({ issuer: 'https://login.example.com/', audiences: ['mcp'] })];
    const over = { issuers, publicUrl: 'https://mcp.acme.com', adminRoles: ['boss'], redisUrl: `redis://:${SECRET}@redis:6379/0` };
    const { parsed, values, secrets } = make({ backends: [], tenants: [] }, over);
    expect(parsed).toEqual({
      issuers: [{ issuer: 'https://login.example.com/', audiences: ['mcp'] }],
      publicUrl: 'https://mcp.acme.com',
      settings: { adminRoles: ['boss'] },
      ...{ tenants: {}, backends: {}, gateway: { replicas: 1 }, redis: { secretName: 'mcp-gateway-redis' } },
    });
    expect(values).not.toContain(SECRET);
    expect(secrets).toMatchObject([{ namespace: 'mcp-gateway', name: 'mcp-gateway-redis', keys: ['url'] }]);
  });
});

describe('what is given', () => {
  const issuers = [{ issuer: 'https://login.microsoftonline.com/t/v2.0', preset: 'entra', audiences: ['id'] }];

  test('stands in place of what is declared', () => {
    const { parsed, notes, command } = make({
      ...{ issuers, replicas: 2 },
      backends: [
        { name: 'jira', image: 'npm:@acme/jira@1.0.0', args: ['on', '0777', '1e3', '~'], access: { tenants: ['sales'] } },
        { name: 'github' },
      ],
      tenants: [{ name: 'engineering' }, { name: 'marketing', limits: { sessions: 3 } }],
    });
    expect(parsed).toMatchObject({
      ...{ issuers, publicUrl: 'https://mcp.example.com', gateway: { replicas: 2 }, redis: { secretName: 'mcp-gateway-redis' } },
      backends: { jira: { image: 'npm:@acme/jira@1.0.0', args: ['on', '0777', '1e3', '~'] }, github: { image } },
      tenants: { engineering: { quotas: [{}] }, marketing: { limits: { sessions: 3 } } },
    });
    expect(Object.keys(parsed['backends'] as object)).toEqual(['github', 'jira']);
    expect(notes).toEqual([
      expect.stringContaining('publicUrl is a placeholder'),
      'jira is for sales, which is not among the tenants',
      expect.stringContaining('images'),
    ]);
    expect(command).toBe('helm upgrade --install mcp-gateway k8s/chart --namespace mcp-gateway --create-namespace --values values.yaml');
  });

  test.each<[unknown, string, string]>([
    [undefined, 'invalid', 'a JSON object is needed'],
    [{ backend: [] }, 'invalid', 'backend: unknown field'],
    [{ backends: [{ name: 'none' }] }, 'missing', 'there is no backend none'],
    [{ tenants: [{ name: 'none' }] }, 'missing', 'there is no tenant none'],
    [{ backends: [{ name: 'a', image: 'no good' }] }, 'invalid', 'backends.0.image: must not contain white space'],
    [
      {
        backends: [
          { name: 'a', image },
          { name: 'a', image },
        ],
      },
      'invalid',
      'backends.1: a is given twice',
    ],
    [
      { backends: [{ name: 'a', image, environmentVariables: { NODE_OPTIONS: '-r x' } }] },
      'invalid',
      'backends.0.environmentVariables.NODE_OPTIONS',
    ],
    [{ tenants: [{ name: 'a', quotas: [{ requests: 1, per: 'soon' }] }] }, 'invalid', 'tenants.0.quotas.0.per: must be a duration'],
    [{ issuers: [{ issuer: 'http://login.example.com/' }] }, 'invalid', 'issuers.0.issuer: must begin with https://'],
    [{ publicUrl: 'mcp.example.com' }, 'invalid', 'publicUrl: must be a URL'],
    [{ replicas: 0 }, 'invalid', 'replicas'],
  ])('%j is refused', (body, code, message) => {
    expect(refusal(body)).toEqual({ code, message: expect.stringContaining(message) as string });
  });

  test('only for those who may see how backends are run', () => {
    expect(refusal({}, nobody)).toMatchObject({ code: 'forbidden' });
  });
});
