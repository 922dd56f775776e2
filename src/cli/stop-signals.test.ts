// One key press may arrive twice; a second one a while later means hurry.

import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { listenForStop } from './stop-signals.ts';

it('stops on the first signal and hurries on a later one', () => {
  const target = new EventEmitter();
  let time = 0;
  const { stop, hurry, release } = listenForStop(target, () => time);
  expect([stop.aborted, hurry.aborted]).toEqual([false, false]);
  target.emit('SIGINT');
  time = 50;
  target.emit('SIGINT');
  expect([stop.aborted, hurry.aborted]).toEqual([true, false]);
  time = 1_500;
  target.emit('SIGTERM');
  expect(hurry.aborted).toBe(true);
  release();
  expect(target.eventNames()).toEqual([]);
});
