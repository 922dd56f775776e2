// What is written about an object of a backend, and what is not: by an API server that only notes it.

import { expect, it } from 'vitest';
import type { KubeApi } from '../api.ts';
import { type KubeObject, keyOf } from '../objects.ts';
import { KubeError } from '../transport.ts';
import { marked, WANTED_ANNOTATION } from './difference.ts';
import { SERVICES, type Wanted } from './kinds.ts';
import { createOwnedObjects } from './owned-objects.ts';
import { keepClaims } from './storage.ts';

const { signal } = new AbortController();
const owner = { name: 'github', uid: 'u' };
const wanted = (port: number): Wanted => ({
  kind: SERVICES,
  object: marked({
    metadata: {
      name: 'github',
      namespace: 'mcp',
      ownerReferences: [{ apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend', ...owner, controller: true }],
    },
    spec: { port },
  }),
});
const stored = (object: KubeObject, metadata: Record<string, unknown> = {}): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, uid: 's', resourceVersion: '5', ...metadata },
});

/** `answer`: what comes back of what was written. */
function noted(answer: (object: KubeObject) => KubeObject = stored) {
  const calls: string[] = [];
  const cached = new Map<string, KubeObject>();
  const write = (verb: string) => async (_: unknown, object: KubeObject) => {
    calls.push(verb);
    return answer(object) as never;
  };
  const patched: unknown[] = [];
  const api: Pick<KubeApi, 'get' | 'create' | 'apply' | 'patch' | 'delete'> = {
    get: async () => {
      calls.push('get');
      return undefined;
    },
    create: write('create'),
    apply: write('apply'),
    patch: async (_, name, __, change) => {
      calls.push('patch');
      patched.push(change);
      return { metadata: { name } };
    },
    delete: async () => void calls.push('delete'),
  };
  return { calls, cached, patched, objects: createOwnedObjects({ api, cached: (_, key) => cached.get(key) }), api };
}

it('an object is made once, and not asked for again while no watch has brought it', async () => {
  const { calls, objects } = noted();
  const found = await objects.find(wanted(1), owner, signal);
  expect(found).toEqual({ state: 'own', object: undefined });
  await objects.put(wanted(1), undefined, signal);
  const again = await objects.find(wanted(1), owner, signal);
  await objects.put(wanted(1), again.object, signal);
  expect(calls).toEqual(['get', 'create']);
  objects.seen(SERVICES, keyOf(wanted(1).object));
  await objects.find(wanted(1), owner, signal);
  expect(calls).toEqual(['get', 'create', 'get']);
});

it('is changed by server-side apply, with the fields that it was created with as its own', async () => {
  const { calls, cached, patched, objects } = noted();
  const fieldsV1 = { 'f:metadata': { 'f:annotations': { [`f:${WANTED_ANNOTATION}`]: {} } } };
  const others = [
    { manager: 'kubectl', operation: 'Update', fieldsV1: { 'f:metadata': { 'f:labels': {} } } },
    { manager: 'controllers', operation: 'Update', subresource: 'status', fieldsV1 },
  ];
  const managedFields = [{ manager: 'node', operation: 'Update', fieldsV1 }, ...others];
  cached.set('mcp/github', stored(wanted(1).object, { managedFields }));
  const { object } = await objects.find(wanted(2), owner, signal);
  await objects.put(wanted(2), object, signal);
  expect(calls).toEqual(['patch', 'apply']);
  const upgraded = [{ manager: 'mcp-gateway-controller', operation: 'Apply', fieldsV1 }, ...others];
  expect(patched).toEqual([{ metadata: { uid: 's', resourceVersion: '5', managedFields: upgraded } }]);
});

it('that comes back otherwise than it was written is not written for ever', async () => {
  const { calls, cached, objects } = noted((object) => stored({ ...object, spec: { port: 99 } }));
  cached.set('mcp/github', stored(wanted(1).object));
  for (let round = 0; round < 3; round += 1) {
    const { object } = await objects.find(wanted(2), owner, signal);
    await objects.put(wanted(2), object, signal);
  }
  expect(calls).toEqual(['apply']);
});

it.each<[string, Record<string, unknown>]>([
  ['foreign', { ownerReferences: [] }],
  ['foreign', { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'github', uid: 'u', controller: true }] }],
  [
    'foreign',
    { ownerReferences: [{ apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend', name: 'other', uid: 'o', controller: true }] },
  ],
  [
    'leaving',
    { ownerReferences: [{ apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend', name: 'github', uid: 'before', controller: true }] },
  ],
  ['leaving', { deletionTimestamp: '2026-01-01T00:00:00Z' }],
  ['own', {}],
])('is %s by what it says itself', async (state, metadata) => {
  const { cached, objects } = noted();
  cached.set('mcp/github', stored(wanted(1).object, metadata));
  expect((await objects.find(wanted(1), owner, signal)).state).toBe(state);
});

it('that somebody else has made in the meantime is left alone', async () => {
  const { api, calls } = noted();
  const create = async (): Promise<never> => Promise.reject(new KubeError(409, 'AlreadyExists', 'exists'));
  const objects = createOwnedObjects({ api: { ...api, create }, cached: () => undefined });
  expect(await objects.put(wanted(1), undefined, signal)).toBeUndefined();
  expect(calls).toEqual([]);
});

it('keeps its volumes as they are', () => {
  const claims = (storage: string, storageClassName?: string): KubeObject => ({
    metadata: { name: 'files' },
    spec: {
      volumeClaimTemplates: [
        { metadata: { name: 'data' }, spec: { resources: { requests: { storage } }, ...(storageClassName && { storageClassName }) } },
      ],
    },
  });
  expect(keepClaims(claims('1024Mi', 'fast'), claims('1Gi', 'fast'))).toBeUndefined();
  const kept = keepClaims(claims('2Gi'), claims('1Gi', 'fast'));
  expect(kept?.object).toEqual(claims('1Gi', 'fast'));
  expect(kept?.trouble.message).toContain('it stays 1Gi, fast');
  expect(keepClaims(claims('1Gi', 'slow'), claims('1Gi'))?.object).toEqual(claims('1Gi'));
});
