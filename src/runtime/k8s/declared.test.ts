// Objects as the API server returns them are read, and files stay as strict as they were.

import { expect, it } from 'vitest';
import { CREATED_BY, parseResource } from '../../config/resources.ts';
import { backendOf, tenantOf } from './declared.ts';

const object = (spec: unknown, metadata: object = {}) => ({
  apiVersion: 'mcpgateway.dev/v1alpha1',
  kind: 'MCPBackend',
  metadata: {
    name: 'github',
    namespace: 'mcp',
    uid: '88d364ee-1598-4c0b-8e03-b5eddcb1ea1b',
    resourceVersion: '249',
    generation: 2,
    creationTimestamp: '2026-11-28T13:17:38Z',
    managedFields: [{ manager: 'kubectl', operation: 'Apply', fieldsV1: {} }],
    finalizers: ['example.com/wait'],
    ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'u' }],
    labels: { team: 'a' },
    ...metadata,
  },
  spec,
  status: { readyReplicas: 1 },
});

it('is what was declared, whatever the API server says of it', () => {
  expect(backendOf(object({ image: 'ghcr.io/a/b:1', affinity: 'session', trustToolHints: false }))).toMatchObject({
    ...{ kind: 'MCPBackend', name: 'github', spec: { replicas: 1, affinity: 'session' } },
  });
});

it('is theirs for whom it was registered', () => {
  const read = backendOf(object({ image: 'a' }, { annotations: { [CREATED_BY]: 'https://issuer/ ann' } }));
  expect(read).toMatchObject({ origin: 'api', creator: 'https://issuer/ ann' });
});

it('is judged as a file is, whatever let it into the cluster', () => {
  expect(backendOf(object({ image: 'npm:', bar: 1 }))).toBe('spec.image: names no package: npm:@scope/name@1.2.3; spec.bar: unknown field');
  const quotas = [
    { requests: 5, per: '1m' },
    { requests: 9, per: '60s' },
  ];
  expect(tenantOf(object({ quotas }))).toContain('spec.quotas.1: differs from quota 0');
});

it('is no file', () => {
  const problems = parseResource(object({ image: 'a' }), { file: '/a.yaml', label: 'document 1' });
  expect(problems).toContainEqual({ file: '/a.yaml', resource: 'MCPBackend/github', path: 'metadata.uid', message: 'unknown field' });
});
