// Waiting longer after each failure, and forgetting after a while of health.

import { expect, it } from 'vitest';
import { createBackoff, HEALTHY_RESET_MS } from './backoff.ts';

it('doubles from 0.2 s to 30 s', () => {
  const backoff = createBackoff({ now: () => 0 });
  expect(Array.from({ length: 10 }, () => backoff.next())).toEqual([200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
});

it('forgets only after a minute of uninterrupted health', () => {
  let now = 0;
  const backoff = createBackoff({ now: () => now });
  backoff.next();
  backoff.next();
  backoff.healthy(true);
  now += HEALTHY_RESET_MS - 1;
  backoff.healthy(false);
  backoff.healthy(true);
  now += HEALTHY_RESET_MS - 1;
  expect(backoff.next()).toBe(800);
  backoff.healthy(true);
  now += HEALTHY_RESET_MS / 2;
  backoff.healthy(true);
  now += HEALTHY_RESET_MS / 2;
  expect(backoff.next()).toBe(200);
});

it('forgets after long health, whether the process got unwell or was found dead', () => {
  let now = 0;
  const backoff = createBackoff({ now: () => now });
  backoff.next();
  backoff.healthy(true);
  now += HEALTHY_RESET_MS;
  expect(backoff.next()).toBe(200);
  expect(backoff.next()).toBe(400);
  backoff.healthy(true);
  now += HEALTHY_RESET_MS;
  backoff.healthy(false);
  expect(backoff.next()).toBe(200);
});
