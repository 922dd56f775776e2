// How reports of several gateways become one picture, and when it may be trusted.

import { expect, test } from 'vitest';
import { createUseBoard, type GatewayUse } from './use-board.ts';

const use = (gateway: string, sessions: number, calls: number, idleMs: number, requests = 0): GatewayUse => ({
  ...{ gateway, instances: { 'pod.0': { sessions, calls, idleMs } }, backends: { github: { idleMs, requests } } },
});

test('calls add up, sessions are known to all, the shortest idleness counts, and it grows', () => {
  let at = 0;
  const board = createUseBoard(() => at);
  board.put(use('a', 3, 1, 1_000));
  board.put(use('b', 4, 2, 5_000));
  expect(board.instance('pod.0')).toEqual({ sessions: 4, calls: 3, idleMs: 1_000 });
  at += 2_000;
  expect(board.instance('pod.0').idleMs).toBe(3_000);
  expect(board.sessionsOn(['pod.0', 'unknown'])).toBe(4);
  expect(board.instance('unknown')).toEqual({ sessions: 0, calls: 0, idleMs: Number.POSITIVE_INFINITY });
});

test('requests count for the time since the report before', () => {
  let at = 0;
  const board = createUseBoard(() => at);
  board.put(use('a', 0, 0, 0, 50));
  expect(board.backend('github').requestsPerSecond).toBe(10);
  at += 10_000;
  board.put(use('a', 0, 0, 0, 50));
  expect(board.backend('github').requestsPerSecond).toBe(5);
  expect(board.backend('other')).toEqual({ idleMs: Number.POSITIVE_INFINITY, requestsPerSecond: 0 });
});

test('a gateway that is silent is forgotten; who has just begun has not heard all', () => {
  let at = 0;
  const board = createUseBoard(() => at);
  expect([board.isWarm(), board.isHeard()]).toEqual([false, false]);
  board.put(use('a', 3, 1, 0));
  at += 15_000;
  expect([board.isWarm(), board.isHeard()]).toEqual([true, true]);
  at += 1;
  expect(board.isHeard()).toBe(false);
  expect(board.instance('pod.0').sessions).toBe(0);
});
