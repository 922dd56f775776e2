// Waiting for a backend that has just been declared: what ends the wait, what does not, and what is said meanwhile.

import { expect, test } from 'vitest';
import { CallRefused, type ControlCall } from './calls.ts';
import { type AdapterPart, untilHealthy } from './until-healthy.ts';

const adapter = (over: Partial<AdapterPart> = {}): AdapterPart => ({
  ...{ name: 'one', image: 'npm:one@1.0.0', health: 'starting', message: '', sessions: 0, url: 'http://gw/adapters/one/mcp', access: null },
  ...{ replicas: { desired: 1, ready: 0, updated: 0 }, revision: 'r1', ...over },
});
const replicas = (desired: number, ready: number, updated: number) => ({ desired, ready, updated });
const healthy = adapter({ health: 'healthy', replicas: replicas(1, 1, 1) });
const unhealthy = adapter({ health: 'unhealthy', message: 'it left with 1' });

/** Gives the states one after the other, the last one for ever; the time goes on only between them. */
function world(states: readonly (AdapterPart | Error)[], beforeState = (_n: number): void => {}) {
  const told: string[] = [];
  const calls: ControlCall[] = [];
  const stopping = new AbortController();
  let time = 0;
  return {
    ...{ told, calls, stopping },
    wait: (declared = adapter()) =>
      untilHealthy(
        declared,
        async (call) => {
          calls.push(call);
          beforeState(calls.length);
          const state = states[Math.min(calls.length, states.length) - 1];
          if (state instanceof Error) throw state;
          return state;
        },
        {
          signal: stopping.signal,
          tell: (text) => void told.push(text),
          now: () => time,
          async pause(ms = 0, _value, { signal } = {}) {
            signal?.throwIfAborted();
            time += ms;
            return undefined;
          },
        },
      ),
  };
}

test('what is healthy at once is not asked again', async () => {
  const { wait, calls, told } = world([]);
  expect(await wait(healthy)).toEqual({ adapter: healthy, state: 'healthy', seconds: 0 });
  expect([calls, told]).toEqual([[], []]);
});

test('asks until it is healthy, and tells each other state once', async () => {
  const fetching = adapter({ message: 'fetching the image' });
  const { wait, calls, told } = world([adapter(), fetching, fetching, adapter(), healthy]);
  expect(await wait()).toEqual({ adapter: healthy, state: 'healthy', seconds: 3 });
  expect(calls).toEqual(Array.from({ length: 5 }, () => ({ method: 'GET', path: ['adapters', 'one'] })));
  expect(told).toEqual(['one: starting', 'one: fetching the image', 'one: starting']);
});

test('the processes of before say nothing of what is declared now', async () => {
  const before = adapter({ health: 'healthy', replicas: replicas(2, 2, 0) });
  const half = adapter({ health: 'healthy', replicas: replicas(2, 2, 1) });
  const after = adapter({ health: 'healthy', replicas: replicas(2, 2, 2) });
  const { wait, told } = world([half, after]);
  expect(await wait(before)).toMatchObject({ state: 'healthy', adapter: after });
  expect(told).toEqual(['one: healthy']);
});

test('half of its processes are not enough', async () => {
  const { wait } = world([adapter({ health: 'degraded', replicas: replicas(2, 1, 1) }), healthy]);
  expect(await wait()).toMatchObject({ state: 'healthy', adapter: healthy });
});

test('where nothing is to run, there is nothing to wait for', async () => {
  const stopped = adapter({ health: 'stopped', replicas: replicas(0, 0, 0) });
  expect(await world([stopped]).wait()).toMatchObject({ state: 'stopped', adapter: stopped });
});

test('unhealthy for 20 s is the answer', async () => {
  const { wait, told } = world([adapter(), unhealthy]);
  expect(await wait()).toEqual({ adapter: unhealthy, state: 'not healthy', seconds: 22 });
  expect(told).toEqual(['one: starting', 'one: it left with 1', 'one: it left with 1']);
});

test('a new start begins the 20 s anew', async () => {
  const states = Array.from({ length: 100 }, (_, n) => (n % 39 === 0 ? adapter() : unhealthy));
  expect(await world([...states, healthy]).wait()).toMatchObject({ state: 'healthy', seconds: 51 });
});

test('three minutes of starting are the answer, too', async () => {
  expect(await world([adapter({ message: 'fetching' })]).wait()).toMatchObject({
    ...{ state: 'not healthy', seconds: 181, adapter: { message: 'fetching' } },
  });
});

test('a signal ends it', async () => {
  const { wait, stopping, calls } = world([adapter()], (n) => n === 3 && stopping.abort(new Error('stopped')));
  await expect(wait()).rejects.toThrow('stopped');
  expect(calls).toHaveLength(3);
});

test('one that is removed meanwhile is none to wait for', async () => {
  const { wait } = world([adapter(), new CallRefused('there is no backend one', 404, 'missing')]);
  await expect(wait()).rejects.toThrow('there is no backend one');
});
