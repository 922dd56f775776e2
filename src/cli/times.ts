// Times as people say them: `3m ago`, `in 12s`.

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
] as const;

/** `time` in ISO 8601. */
export function ago(time: string, now: number): string {
  return `${span(now - Date.parse(time))} ago`;
}

export function inTime(milliseconds: number): string {
  return `in ${span(milliseconds)}`;
}

/** In the largest unit of which there is a whole one; never less than nothing, because clocks differ. */
function span(milliseconds: number): string {
  const [unit, size] = UNITS.find(([, each]) => milliseconds >= each) ?? ['s', 1_000];
  return `${Math.max(0, Math.floor(milliseconds / size))}${unit}`;
}
