// Holding requests: who waits, for how long, and how many at once.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { backendOf, directoryOf, instanceOf } from '../../test/fakes/backends.ts';
import type { BackendName } from '../core/ids.ts';
import { createParking } from './parking.ts';

const memory = 'memory' as BackendName;
const never = new AbortController().signal;
const asleep = () => directoryOf(backendOf({ instances: [instanceOf('i1', 'starting')] }), backendOf({ name: 'other', instances: [] }));

describe('a wait', () => {
  test('ends as soon as an instance is ready', async () => {
    const directory = asleep();
    const waiting = createParking(directory).wait(memory, 50_000, undefined, never);
    directory.putInstances(memory, [instanceOf('i1')]);
    expect(await waiting).toMatchObject({ name: memory, instances: [{ id: 'i1', state: 'ready' }] });
  });

  test('ends when the client goes, with the reason', async () => {
    const client = new AbortController();
    const waiting = createParking(asleep()).wait(memory, 50_000, undefined, client.signal);
    client.abort(new Error('client gone'));
    await expect(waiting).rejects.toThrow('client gone');
  });

  test('ends at the start time-out', async () => {
    expect(await createParking(asleep()).wait(memory, 1, undefined, never)).toBe('no_instance');
  });

  test('is never longer than clients wait', async () => {
    const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort(new Error('time')));
    expect(await createParking(asleep()).wait(memory, 3_600_000, undefined, never)).toBe('no_instance');
    expect(timeout).toHaveBeenCalledWith(50_000);
  });
  afterEach(() => void vi.restoreAllMocks());
});

describe('limits', () => {
  let client: AbortController;
  beforeEach(() => {
    client = new AbortController();
  });
  afterEach(() => client.abort(new Error('end of the test')));

  const park = (parking: ReturnType<typeof createParking>, caller?: string, backend = memory): Promise<unknown> => {
    const waiting = parking.wait(backend, 50_000, caller, client.signal);
    waiting.catch(() => {});
    return waiting;
  };

  test('100 wait for one backend, and the next one is refused; another backend has its own', async () => {
    const parking = createParking(asleep());
    for (let n = 0; n < 100; n += 1) void park(parking);
    expect(await park(parking)).toBe('too_many_waiting');
    expect(await Promise.race([park(parking, undefined, 'other' as BackendName), Promise.resolve('waits')])).toBe('waits');
  });

  test('10 of one caller, when callers can be told apart', async () => {
    const parking = createParking(asleep());
    for (let n = 0; n < 10; n += 1) void park(parking, 'ann');
    expect(await park(parking, 'ann', 'other' as BackendName)).toBe('too_many_waiting');
    expect(await Promise.race([park(parking, 'bob'), Promise.resolve('waits')])).toBe('waits');
  });

  test('a place is free again after the wait, however it ended', async () => {
    const directory = asleep();
    const parking = createParking(directory);
    const first = Array.from({ length: 100 }, () => park(parking, undefined));
    client.abort(new Error('all gone'));
    await Promise.allSettled(first);
    client = new AbortController();
    const second = Array.from({ length: 100 }, () => park(parking));
    directory.putInstances(memory, [instanceOf('i1')]);
    expect((await Promise.all(second)).every((backend) => typeof backend === 'object')).toBe(true);
  });

  test('who need not wait is not refused', async () => {
    const parking = createParking(directoryOf(backendOf()));
    const answers = await Promise.all(Array.from({ length: 500 }, () => park(parking, 'ann')));
    expect(answers.every((answer) => typeof answer === 'object')).toBe(true);
  });
});
