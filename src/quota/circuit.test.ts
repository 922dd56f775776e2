// The circuit: one failure opens it, a probe closes it, and what people are told about it.

import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Circuit, createCircuit } from './circuit.ts';

let clock: number;
let said: string[];
let reachable: boolean;
let probes: number;
let circuit: Circuit;
beforeEach(() => {
  [clock, said, reachable, probes] = [1_000_000, [], true, 0];
  circuit = createCircuit({
    async probe() {
      probes += 1;
      if (!reachable) throw new Error('no');
    },
    onReachable: () => said.push('reachable'),
    onDown: ({ message }) => said.push(`down: ${message}`),
    onUp: (outageMs) => said.push(`up after ${outageMs}`),
    now: () => clock,
  });
});
afterEach(() => circuit.close());

const PATIENT = { interval: 2, timeout: 5_000 } as const;
const isClosed = () => vi.waitFor(() => expect(circuit.isOpen()).toBe(false), PATIENT);

it('is open until the first probe has succeeded, without a word', async () => {
  expect(circuit.isOpen()).toBe(true);
  await isClosed();
  expect(said).toEqual(['reachable']);
});

it('opens with the first failure, is spoken of once, and closes by itself', async () => {
  await isClosed();
  reachable = false;
  circuit.failed(new Error('first'));
  circuit.failed(new Error('second'));
  expect(circuit.isOpen()).toBe(true);
  const before = probes;
  await vi.waitFor(() => expect(probes).toBeGreaterThan(before + 2), PATIENT);
  clock += 700;
  reachable = true;
  await isClosed();
  expect(said).toEqual(['reachable', 'down: first', 'reachable', 'up after 700']);
});

it('speaks of a store that is missing from the start only after a while', async () => {
  reachable = false;
  await vi.waitFor(() => expect(probes).toBeGreaterThan(1), PATIENT);
  expect(said).toEqual([]);
  clock += 2_000;
  await vi.waitFor(() => expect(said).toEqual(['down: no']), PATIENT);
  reachable = true;
  await isClosed();
  expect(said).toEqual(['down: no', 'reachable', 'up after 2000']);
});

it('asks a store that flaps less and less often', async () => {
  await isClosed();
  clock += 10_000;
  const outage = async (): Promise<number> => {
    const started = performance.now();
    circuit.failed(new Error('flap'));
    await isClosed();
    return performance.now() - started;
  };
  const pauses: number[] = [];
  for (let i = 0; i < 4; i += 1) pauses.push(await outage());
  // At once, then after 25–50, 50–100, and 100–200 ms.
  expect(pauses[3]).toBeGreaterThan(95);
  const calm: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    clock += 10_000;
    calm.push(await outage());
  }
  expect(Math.min(...calm)).toBeLessThan(pauses[3] as number);
});

it('does nothing any more once it is closed down', async () => {
  await isClosed();
  circuit.close();
  circuit.failed(new Error('late'));
  expect(said).toEqual(['reachable']);
});
