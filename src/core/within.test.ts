// Waits that end: in time, by a signal, and whatever the garbage collector does meanwhile.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { limited, within } from './within.ts';

/** Makes the garbage of this moment go. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

const fired = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason), { once: true }));

describe('within', () => {
  it('gives what the promise gives', async () => {
    expect(await within(Promise.resolve(1), 1_000)).toBe(1);
    await expect(within(Promise.reject(new Error('no')), 1_000)).rejects.toThrow('no');
  });

  it('does not wait longer', async () => {
    await expect(within(new Promise(() => {}), 5)).rejects.toThrow('no answer within 5 ms');
  });
});

describe('limited', () => {
  it('fires with the signal, for its reason', async () => {
    const controller = new AbortController();
    const signal = limited(controller.signal, 60_000);
    expect(signal.aborted).toBe(false);
    const reason = fired(signal);
    controller.abort(new Error('gone'));
    expect(await reason).toEqual(new Error('gone'));
  });

  it('fires in time, also when garbage is collected meanwhile', async () => {
    const reason = fired(limited(new AbortController().signal, 100));
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(await reason).toMatchObject({ name: 'TimeoutError' });
  });
});
