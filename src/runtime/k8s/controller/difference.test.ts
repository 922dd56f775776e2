// When an object in the cluster is as it should be, and when it has to be written.

import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../objects.ts';
import { differs, marked } from './difference.ts';

const object = (spec: unknown): KubeObject => ({ metadata: { name: 'a', namespace: 'mcp' }, spec });
const stored = (wanted: KubeObject, change: (copy: Record<string, unknown>) => void = () => {}): KubeObject => {
  const copy = structuredClone(marked(wanted)) as unknown as Record<string, unknown>;
  change(copy);
  return { ...copy, metadata: { ...(copy['metadata'] as KubeObject['metadata']), uid: 'u', resourceVersion: '7' } };
};

describe('an object in the cluster', () => {
  const wanted = object({
    replicas: 0,
    containers: [
      { name: 'server', args: [], env: [{ name: 'A', value: '' }], resources: { requests: { cpu: '1000m', memory: '1024Mi' } } },
    ],
    ports: [{ name: 'mcp', port: 8000 }],
    types: ['Ingress'],
  });
  // biome-ignore lint/suspicious/noExplicitAny: the copy is changed in arbitrary places.
  type Spec = any;

  it.each<[string, (spec: Spec) => void]>([
    ['is what was written', () => {}],
    ['has defaults', (spec) => Object.assign(spec, { strategy: { type: 'RollingUpdate' } })],
    ['has no empty list', (spec) => void delete spec.containers[0].args],
    ['has no empty text', (spec) => void delete spec.containers[0].env[0].value],
    ['has canonical quantities', (spec) => (spec.containers[0].resources.requests = { cpu: '1', memory: '1Gi' })],
    ['has a container of somebody else', (spec) => spec.containers.unshift({ name: 'mesh' })],
  ])('needs no write when it %s', (_, change) => {
    expect(
      differs(
        marked(wanted),
        stored(wanted, ({ spec }) => change(spec)),
      ),
    ).toBe(false);
  });

  it.each<[string, (spec: Spec) => void]>([
    ['has another number', (spec) => (spec.replicas = 3)],
    ['has lost a container', (spec) => (spec.containers = [{ name: 'mesh' }])],
    ['has another value', (spec) => (spec.containers[0].env[0].value = 'x')],
    ['has less memory', (spec) => (spec.containers[0].resources.requests.memory = '1Mi')],
    ['has one more in a list without names', (spec) => spec.types.push('Egress')],
  ])('is written when it %s', (_, change) => {
    expect(
      differs(
        marked(wanted),
        stored(wanted, ({ spec }) => change(spec)),
      ),
    ).toBe(true);
  });

  it('is written when a field is no longer wanted', () => {
    expect(differs(marked(object({ replicas: 1 })), stored(object({ replicas: 1, paused: true })))).toBe(true);
  });
});
