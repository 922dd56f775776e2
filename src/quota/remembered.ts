// What was answered lately, by request id, so that a repeated request gets the same answer.

/** A bounded memory: after `maxEntries` others, or its time, an entry is gone. */
export interface Remembered<Value> {
  get(id: string, now: number): Value | undefined;
  set(id: string, value: Value, until: number, now: number): void;
  isEmpty(now: number): boolean;
}

interface Entry<Value> {
  readonly value: Value;
  readonly until: number;
}

/** Two generations: the young one becomes the old one when it is half of the whole or `longestMs` old, so nothing is moved or searched. */
export function createRemembered<Value>(maxEntries: number, longestMs: number): Remembered<Value> {
  let young = new Map<string, Entry<Value>>();
  let old = new Map<string, Entry<Value>>();
  let bornAt = Number.NEGATIVE_INFINITY;

  const rotate = (now: number): void => {
    const age = now - bornAt;
    if (age < longestMs && young.size < maxEntries / 2) return;
    old = age < 2 * longestMs ? young : new Map();
    young = new Map();
    bornAt = now;
  };

  return {
    get(id, now) {
      const entry = young.get(id) ?? old.get(id);
      return entry !== undefined && entry.until > now ? entry.value : undefined;
    },
    set(id, value, until, now) {
      rotate(now);
      young.set(id, { value, until });
    },
    isEmpty(now) {
      rotate(now);
      return young.size === 0 && old.size === 0;
    },
  };
}
