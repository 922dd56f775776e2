// A cache that never holds more than it is told: entries that are not used for a while make room.

export interface BoundedCache<Key, Value> {
  get(key: Key): Value | undefined;
  set(key: Key, value: Value): void;
  clear(): void;
}

/**
 * Two generations of at most `maxEntries / 2`: when the young one is full it becomes the old one, and what was not used since is
 * dropped with the one before. A look-up costs one or two of a Map's.
 */
export function createBoundedCache<Key, Value>(maxEntries: number): BoundedCache<Key, Value> {
  let young = new Map<Key, Value>();
  let old = new Map<Key, Value>();

  const set = (key: Key, value: Value): void => {
    young.set(key, value);
    if (young.size >= maxEntries / 2) {
      old = young;
      young = new Map();
    }
  };

  return {
    get(key) {
      const recent = young.get(key);
      if (recent !== undefined) return recent;
      const earlier = old.get(key);
      if (earlier !== undefined) set(key, earlier);
      return earlier;
    },
    set,
    clear() {
      young = new Map();
      old = new Map();
    },
  };
}
