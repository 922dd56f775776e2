// Which endpoints become instances, in which state, and which are not believed.

import { expect, test } from 'vitest';
import { type EndpointSlice, instancesOf, type Pod } from './instances.ts';

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

const NOW = Date.parse('2026-11-28T12:00:00Z');
const look = (pods: readonly Pod[], slices: readonly EndpointSlice[], { now = NOW, movable = true } = {}) =>
  instancesOf({ name: 'github', movable }, slices, (name) => pods.find(({ metadata }) => metadata.name === name), now);
const seen = (pods: readonly Pod[], ...slices: readonly EndpointSlice[]) => look(pods, slices).instances;

test('a ready endpoint of an own pod is an instance, named after the pod and its restarts', () => {
  expect(seen([pod('a', {}, 2)], slice({}))).toEqual([{ id: 'uid-a.2', address: '10.0.0.5:8000', state: 'ready' }]);
});

test('a pod that was released gets nothing any more, unless there is nothing else', () => {
  const more = { deletionTimestamp: '2026-11-28T13:00:00Z', annotations: { 'mcpgateway.dev/released': '2026-11-28T11:59:00Z' } };
  const other = slice({ targetRef: { kind: 'Pod', namespace: 'mcp', name: 'b', uid: 'uid-b' } });
  expect(seen([pod('a', more), pod('b')], slice({}), other).map(({ id }) => id)).toEqual(['uid-b.0']);
  expect(seen([pod('a', more)], slice({})).map(({ state }) => state)).toEqual(['draining']);
  expect(seen([pod('a', { annotations: more.annotations })], slice({}))[0]?.state).toBe('ready');
});

test('a slice that has nothing yet, as the endpoint controller writes it, is no instance', () => {
  expect(seen([pod('a')], slice({}, { ports: null, endpoints: null }), slice({}, { ports: null }), slice({}, { endpoints: null }))).toEqual(
    [],
  );
});

test('what has to go keeps its sessions and gets none; what is not ready gets nothing', () => {
  const stateOf = (conditions: object, more = {}) => seen([pod('a', more)], slice({ conditions }))[0]?.state;
  expect(stateOf({ ready: false, serving: true, terminating: true })).toBe('draining');
  expect(stateOf({ ready: false, serving: false, terminating: true })).toBe('draining');
  expect(stateOf({ ready: true, serving: true }, { deletionTimestamp: '2026-11-28T13:00:00Z' })).toBe('draining');
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

test('before a pod is ended by force its sessions are moved, if there is somewhere to go', () => {
  const going = pod('a', { deletionTimestamp: '2026-11-28T12:10:00Z' });
  const staying = { ...pod('b'), status: { podIP: '10.0.0.6' } };
  const other = (ready: boolean) =>
    slice({ addresses: ['10.0.0.6'], conditions: { ready }, targetRef: { kind: 'Pod', namespace: 'mcp', name: 'b', uid: 'uid-b' } });
  const at = (time: string, options: { movable?: boolean; ready?: boolean } = {}) => {
    const { instances, againAt } = look([going, staying], [slice({ conditions: { terminating: true } }), other(options.ready ?? true)], {
      ...options,
      now: Date.parse(time),
    });
    return [instances.map(({ id }) => id), againAt && new Date(againAt).toISOString()];
  };
  expect(at('2026-11-28T12:00:00Z')).toEqual([['uid-a.0', 'uid-b.0'], '2026-11-28T12:09:30.000Z']);
  expect(at('2026-11-28T12:09:30Z')).toEqual([['uid-b.0'], undefined]);
  expect(at('2026-11-28T12:09:30Z', { ready: false })).toEqual([['uid-a.0', 'uid-b.0'], undefined]);
  expect(at('2026-11-28T12:09:30Z', { movable: false })).toEqual([['uid-a.0', 'uid-b.0'], undefined]);
});
