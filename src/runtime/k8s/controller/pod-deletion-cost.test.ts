// The order in which pods go: written when it is wrong, left alone while it is right.

import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import type { BackendPod } from './observed.ts';
import { costChanges, createDeletionCosts, DELETION_COST } from './pod-deletion-cost.ts';

const pod = (name: string, cost?: number, metadata: Record<string, string> = {}): BackendPod => ({
  metadata: {
    name,
    namespace: 'mcp',
    uid: name,
    ...(cost !== undefined && { annotations: { [DELETION_COST]: String(cost) } }),
    ...metadata,
  },
});
const changes = (pods: BackendPod[], sessions: Record<string, number>): Record<string, number> =>
  Object.fromEntries(
    costChanges(pods, ({ metadata }) => sessions[metadata.name] ?? 0).map(({ pod: { metadata }, cost }) => [metadata.name, cost]),
  );

describe('the order of pods', () => {
  it('is left alone while it is right, whatever the numbers are', () => {
    expect(changes([pod('a'), pod('b')], {})).toEqual({});
    expect(changes([pod('a', 3), pod('b', 5)], { a: 10, b: 11 })).toEqual({});
    expect(changes([pod('a', 3), pod('b', 5)], { a: 4, b: 4 })).toEqual({});
  });

  it('is written when it is wrong, and when two are told apart no longer', () => {
    expect(changes([pod('a', 3), pod('b', 5)], { a: 6, b: 5 })).toEqual({ a: 6 });
    expect(changes([pod('a'), pod('b')], { b: 2 })).toEqual({ b: 2 });
    expect(changes([pod('a', 7), pod('b', 7), pod('c', 1)], { a: 7, b: 8, c: 1 })).toEqual({ b: 8 });
    expect(changes([pod('a', 1), pod('b', 4), pod('c', 2)], { a: 3, b: 3, c: 9 })).toEqual({ a: 3, b: 3, c: 9 });
  });

  it('of a StatefulSet cannot be chosen', () => {
    const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'a', uid: 'u', controller: true };
    const numbered = (name: string): BackendPod => ({ metadata: { ...pod(name).metadata, ownerReferences: [owner] } });
    expect(changes([numbered('a-0'), numbered('a-1')], { 'a-1': 5 })).toEqual({});
  });

  it('does not count pods that go anyway, and fits an int32', () => {
    expect(changes([pod('a', 9, { deletionTimestamp: '2026-01-01T00:00:00Z' }), pod('b', 2)], { a: 1, b: 5 })).toEqual({});
    expect(changes([pod('a'), pod('b', 1)], { a: 1e12 })).toEqual({ a: 2 ** 31 - 1, b: 0 });
  });

  it('is written at most every 10 s per pod, unless pods are about to go', async () => {
    const written: string[] = [];
    const sessions: Record<string, number> = { a: 1, b: 2 };
    const costs = createDeletionCosts({
      api: { patch: async (_, name) => ({ metadata: { name: `${written.push(name)}` } }) },
      sessionsOn: ([instance = '']) => sessions[instance.slice(0, 1)] ?? 0,
      log: pino({ level: 'silent' }),
    });
    const { signal } = new AbortController();
    await costs.update([pod('a', 5), pod('b')], signal);
    expect(written).toEqual(['a', 'b']);
    await costs.update([pod('a', 5), pod('b')], signal);
    expect(written).toHaveLength(2);
    await costs.update([pod('a', 5), pod('b')], signal, { urgent: true });
    expect(written).toHaveLength(4);
  });
});
