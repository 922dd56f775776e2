// Which endpoints become instances, in which state, and which are not believed.

import { expect, test } from 'vitest';
import { type EndpointSlice, instanceIdOf, instancesOf, type Pod, podUidOf } from './instances.ts';

const pod = (name: string, more: Partial<Pod['metadata']> = {}, restartCount = 0): Pod => ({
  metadata: {
    ...{ name, namespace: 'mcp', uid: `uid-${name}`, labels: { 'mcpgateway.dev/backend': 'github' } },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'github-7d9f', uid: 'rs', controller: true }],
    ...more,
  },
  status: { podIP: '10.0.0.5', podIPs: [{ ip: '10.0.0.5' }, { ip: 'fd00::5' }], containerStatuses: [{ name: 'server', restartCount }] },
});

const slice = (endpoint: object, more: Partial<EndpointSlice> = {}): EndpointSlice => ({
  metadata: { name: 'github-abc', namespace: 'mcp' },
  ports: [{ name: 'mcp', port: 8000 }],
  endpoints: [
    {
      addresses: ['10.0.0.5'],
      conditions: { ready: true, serving: true, terminating: false },
      targetRef: { kind: 'Pod', namespace: 'mcp', name: 'a', uid: 'uid-a' },
      ...endpoint,
    },
  ],
  ...more,
});

const seen = (pods: readonly Pod[], ...slices: readonly EndpointSlice[]) =>
  instancesOf('github', slices, (name) => pods.find(({ metadata }) => metadata.name === name));

test('a ready endpoint of an own pod is an instance, named after the pod and its restarts', () => {
  expect(seen([pod('a', {}, 2)], slice({}))).toEqual([{ id: 'uid-a.2', address: '10.0.0.5:8000', state: 'ready' }]);
  expect(podUidOf(instanceIdOf(pod('a', {}, 2)))).toBe('uid-a');
});

test('what has to go keeps its sessions and gets none; what is not ready gets nothing', () => {
  const stateOf = (conditions: object, more = {}) => seen([pod('a', more)], slice({ conditions }))[0]?.state;
  expect(stateOf({ ready: false, serving: true, terminating: true })).toBe('draining');
  expect(stateOf({ ready: false, serving: false, terminating: true })).toBe('draining');
  expect(stateOf({ ready: true, serving: true }, { deletionTimestamp: '2026-11-28T00:00:00Z' })).toBe('draining');
  expect(stateOf({ ready: false, serving: false })).toBe('starting');
  expect(stateOf({})).toBe('starting');
});

test('endpoints that are not the backend’s own are not believed', () => {
  const own = [pod('a')];
  expect(seen(own, slice({ targetRef: undefined }))).toEqual([]);
  expect(seen(own, slice({ targetRef: { kind: 'Pod', namespace: 'other', name: 'a', uid: 'uid-a' } }))).toEqual([]);
  expect(seen(own, slice({ targetRef: { kind: 'Pod', namespace: 'mcp', name: 'a', uid: 'uid-before' } }))).toEqual([]);
  expect(seen(own, slice({ addresses: ['10.0.0.66'] }))).toEqual([]);
  expect(seen([pod('a', { labels: { 'mcpgateway.dev/backend': 'other' } })], slice({}))).toEqual([]);
  expect(seen([pod('a', { ownerReferences: [] })], slice({}))).toEqual([]);
  const ownedBy = (kind: string, name: string, apiVersion = 'apps/v1') =>
    seen([pod('a', { ownerReferences: [{ apiVersion, kind, name, uid: 'x', controller: true }] })], slice({})).length;
  expect(ownedBy('ReplicaSet', 'github-enterprise-7d9f')).toBe(0);
  expect(ownedBy('ReplicaSet', 'other-7d9f')).toBe(0);
  expect(ownedBy('Job', 'github')).toBe(0);
  expect(ownedBy('ReplicaSet', 'github-7d9f', 'example.com/v1')).toBe(0);
  expect(ownedBy('StatefulSet', 'github')).toBe(1);
});

test('a pod that is not known yet, and a slice without the server’s port, give nothing', () => {
  expect(seen([], slice({}))).toEqual([]);
  expect(seen([pod('a')], slice({}, { ports: [{ name: 'http', port: 80 }] }))).toEqual([]);
});

test('two slices of one pod are one instance', () => {
  const six = slice({ addresses: ['fd00::5'], conditions: { ready: true } });
  expect(seen([pod('a')], slice({ conditions: { ready: false } }), six)).toEqual([
    { id: 'uid-a.0', address: '[fd00::5]:8000', state: 'ready' },
  ]);
  expect(seen([pod('a')], slice({}), six)).toHaveLength(1);
});
