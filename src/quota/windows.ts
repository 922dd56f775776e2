// The arithmetic of fixed windows: which one it is now, when it ends, and what is left of it.

import type { WindowLimit, WindowState } from './limits.ts';

/** Windows are numbered from 1970 on; the number is part of the counter's key, so that a new window begins at zero by itself. */
export function windowNumber(windowMs: number, now: number): number {
  return Math.floor(now / windowMs);
}

export function windowEnd(windowMs: number, now: number): number {
  return (windowNumber(windowMs, now) + 1) * windowMs;
}

export function windowState({ name, limit, windowMs }: WindowLimit, used: number, resetMs: number): WindowState {
  return { name, limit, windowMs, remaining: Math.max(0, limit - used), resetMs };
}
