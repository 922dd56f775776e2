// Objects as the API server returns them are read, and files stay as strict as they were.

import { describe, expect, it } from 'vitest';
import { EXEC_REFUSED, readKubernetesObject } from './kubernetes-object.ts';
import { CREATED_BY, parseResource } from './resources.ts';

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
    generateName: 'git',
    selfLink: '/somewhere',
    ...metadata,
  },
  spec,
  status: { readyReplicas: 1 },
});

describe('an object of the API server', () => {
  it('is what was declared, and what the API server says of it', () => {
    const read = readKubernetesObject(object({ image: 'ghcr.io/a/b:1', affinity: 'session', trustToolHints: false }));
    expect(read).toMatchObject({
      ...{ name: 'github', namespace: 'mcp', uid: '88d364ee-1598-4c0b-8e03-b5eddcb1ea1b', generation: 2, resourceVersion: '249' },
      deleting: false,
      parsed: { kind: 'MCPBackend', name: 'github', file: 'kubernetes', origin: 'file', spec: { replicas: 1, affinity: 'session' } },
    });
  });

  it('on its way out says so', () => {
    const { deleting } = readKubernetesObject(object({ image: 'a' }, { deletionTimestamp: '2026-11-28T13:17:38Z' }));
    expect(deleting).toBe(true);
  });

  it('that was registered for somebody is theirs', () => {
    const { parsed } = readKubernetesObject(object({ image: 'a' }, { annotations: { [CREATED_BY]: 'https://issuer/ ann' } }));
    expect(parsed).toMatchObject({ origin: 'api', creator: 'https://issuer/ ann' });
  });

  it('is judged as a file is, whatever let it into the cluster', () => {
    const { parsed, generation } = readKubernetesObject(object({ image: 'npm:', bar: 1 }));
    expect(parsed).toEqual([
      { file: 'kubernetes', resource: 'MCPBackend/github', path: 'spec.image', message: 'names no package: npm:@scope/name@1.2.3' },
      { file: 'kubernetes', resource: 'MCPBackend/github', path: 'spec.bar', message: 'unknown field' },
    ]);
    expect(generation).toBe(2);
  });

  it('runs no program of the machine', () => {
    const { parsed } = readKubernetesObject(object({ image: 'exec:./server' }));
    expect(parsed).toMatchObject([{ path: 'spec.image', message: EXEC_REFUSED }]);
  });

  it('is no file', () => {
    const problems = parseResource(object({ image: 'a' }), { file: '/a.yaml', label: 'document 1' });
    expect(problems).toContainEqual({ file: '/a.yaml', resource: 'MCPBackend/github', path: 'metadata.uid', message: 'unknown field' });
  });
});
