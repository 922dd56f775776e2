// What an answer says of the caller's quotas: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10).

import type { WindowState } from '../quota/limits.ts';

export type RateLimitFields = readonly (readonly [name: string, value: string])[];

/** Undefined when no quota applies. Quotas in the order in which the tenant declares them. */
export function rateLimitHeaders(windows: readonly WindowState[]): RateLimitFields | undefined {
  if (windows.length === 0) return undefined;
  let policy = '';
  let limit = '';
  for (const { name, limit: quota, windowMs, remaining, resetMs } of windows) {
    const separator = policy === '' ? '' : ', ';
    // Structured fields know no fractions here: a window below a second counts as one.
    policy += `${separator}"${name}";q=${quota};w=${Math.max(1, Math.round(windowMs / 1000))}`;
    limit += `${separator}"${name}";r=${Math.max(0, remaining)};t=${Math.max(0, Math.ceil(resetMs / 1000))}`;
  }
  return [
    ['ratelimit-policy', policy],
    ['ratelimit', limit],
  ];
}
