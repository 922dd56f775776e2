// The one way to write a length of time in resources: a whole number and a unit, `45s`, `30m`, `12h`, `30d`.

import { z } from 'zod';

const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
export const DURATION = /^(\d{1,12})(ms|s|m|h|d)$/;
const MAX_CHARS = 14;
/** Longer times are mistakes; it also keeps sums of durations far from the limits of a double. */
export const MAX_DURATION_MS = 3650 * MILLISECONDS.d;

/** Milliseconds of a duration such as `30m`, or `undefined` when the text is not one. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (match === null) {
    return undefined;
  }
  const milliseconds = Number(match[1]) * MILLISECONDS[match[2] as keyof typeof MILLISECONDS];
  return milliseconds <= MAX_DURATION_MS ? milliseconds : undefined;
}

/** The shortest text that `parseDuration` reads back as this many milliseconds. */
export function formatDuration(milliseconds: number): string {
  const [unit, size] = Object.entries(MILLISECONDS).findLast(([, each]) => milliseconds % each === 0) ?? ['ms', 1];
  return `${milliseconds / size}${unit}`;
}

/** What each schema of a duration takes, for those who write it down for others. */
export const durationLimits = z.registry<{ minMs: number; maxMs: number }>();

/** A schema that takes duration text and gives milliseconds, at least `minMs`. */
export function duration({ minMs = 1, maxMs = MAX_DURATION_MS }: { minMs?: number; maxMs?: number } = {}) {
  // Schemas that are made for others say how it looks; what is wrong with it is said here.
  const written = z.string().meta({ pattern: DURATION.source, maxLength: MAX_CHARS }).register(durationLimits, { minMs, maxMs });
  return written.transform((text, context) => {
    const milliseconds = parseDuration(text);
    if (milliseconds !== undefined && milliseconds > maxMs) {
      context.addIssue({ code: 'custom', message: `must be at most ${formatDuration(maxMs)}: got "${text}"` });
      return z.NEVER;
    }
    if (milliseconds === undefined || milliseconds < minMs) {
      context.addIssue({
        code: 'custom',
        message: `must be a duration such as 45s, 30m, 12h or 30d, at least ${formatDuration(minMs)}: got "${text}"`,
      });
      return z.NEVER;
    }
    return milliseconds;
  });
}
