// When a backend has no pods, when it gets them back, and how many it has while many use it.

import { expect, test } from 'vitest';
import { backendOf } from '../declared.ts';
import type { KubeObject } from '../objects.ts';
import { createScaler, type Seen, WAKE_ANNOTATION } from './scale.ts';
import type { BackendUse } from './use-board.ts';

const START = Date.parse('2026-01-01T00:00:00Z');

function world(scaling: object, replicas = 1) {
  let at = START;
  const use: { -readonly [Field in keyof BackendUse]: BackendUse[Field] } = { idleMs: Number.POSITIVE_INFINITY, requestsPerSecond: 0 };
  const board = { backend: () => use, isWarm: () => board.warm, isHeard: () => board.heard, warm: true, heard: true };
  const scaler = createScaler({ board, now: () => at });
  const object: KubeObject = {
    metadata: { name: 'github', namespace: 'mcp', creationTimestamp: new Date(START).toISOString(), annotations: {} },
    spec: { image: 'ghcr.io/acme/github:1', replicas, scaling },
  };
  const resource = backendOf(object);
  if (typeof resource === 'string') throw new Error(resource);
  const wanted = (seen: Partial<Omit<Seen, 'object'>> = {}, wake?: number) =>
    scaler.wanted(resource, {
      ...{ running: 1, sessions: 0, calls: 0, ...seen },
      object: {
        ...object,
        metadata: { ...object.metadata, ...(wake !== undefined && { annotations: { [WAKE_ANNOTATION]: new Date(wake).toISOString() } }) },
      },
    });
  return { wanted, use, board, pass: (ms: number) => (at += ms), now: () => at };
}

test('nobody has used it for the time: none', () => {
  const { wanted, pass, use } = world({ toZeroAfter: '15m', startTimeout: '1m' }, 3);
  expect(wanted()).toBe(3);
  // A new one is given the time to start, too.
  pass(15 * 60_000);
  expect(wanted()).toBe(3);
  pass(60_000);
  expect(wanted()).toBe(0);
  use.idleMs = 1_000;
  expect(wanted()).toBe(3);
});

test('sessions and calls hold it', () => {
  const { wanted, pass } = world({ toZeroAfter: '1m' });
  pass(120_000);
  expect([wanted({ sessions: 1 }), wanted({ calls: 1 }), wanted()]).toEqual([1, 1, 0]);
});

test('who waits for it gets it, and it stays for the time after it had time to start', () => {
  const { wanted, pass, now } = world({ toZeroAfter: '1m', startTimeout: '40s' });
  pass(600_000);
  expect(wanted({ running: 0 })).toBe(0);
  const woken = now();
  expect(wanted({ running: 0 }, woken)).toBe(1);
  pass(99_000);
  expect(wanted({ running: 1 }, woken)).toBe(1);
  pass(1_000);
  expect(wanted({ running: 1 }, woken)).toBe(0);
});

test('a new leader neither wakes what sleeps nor ends what it has not heard of', () => {
  const { wanted, pass, board } = world({ toZeroAfter: '1m' });
  pass(600_000);
  expect(wanted({ running: 0 })).toBe(0);
  board.warm = false;
  expect(wanted({ running: 0 })).toBe(0);
  expect(wanted({ running: 1 })).toBe(1);
  board.warm = true;
  board.heard = false;
  expect(wanted({ running: 1 })).toBe(1);
});

test('without toZeroAfter it is never none, but for what is declared so', () => {
  const { wanted, pass } = world({});
  pass(10 ** 9);
  expect(wanted()).toBe(1);
  expect(world({}, 0).wanted()).toBe(0);
});

test('grows with sessions and requests up to its limit, at once; shrinks when that was not needed for a while', () => {
  const { wanted, use, pass } = world({ max: 5, sessionsPerReplica: 100, requestsPerReplica: 10 }, 2);
  expect(wanted({ sessions: 150 })).toBe(2);
  expect(wanted({ sessions: 201 })).toBe(3);
  use.requestsPerSecond = 35;
  expect(wanted({ sessions: 201 })).toBe(4);
  use.requestsPerSecond = 1_000;
  expect(wanted()).toBe(5);
  use.requestsPerSecond = 0;
  expect(wanted()).toBe(5);
  pass(300_001);
  expect(wanted()).toBe(2);
});

test('a leader that has just begun keeps what has grown', () => {
  const { wanted, board } = world({ max: 5, sessionsPerReplica: 100 }, 1);
  board.warm = false;
  expect(wanted({ running: 4 })).toBe(4);
  expect(wanted({ running: 9 })).toBe(5);
});
