// The keys that seal session ids and tickets: which one seals now, which ones still open.

/** A 256-bit key. `id` is 8 hexadecimal digits and stands in front of everything that the key sealed. */
export interface RingKey {
  readonly id: string;
  readonly secret: Buffer;
  /** Milliseconds since 1970. Before this moment the key only opens: every replica has it before any seals with it. */
  readonly sealFrom: number;
}

export interface KeyRing {
  /** The newest key whose `sealFrom` has passed. */
  sealing(): RingKey;
  /** The key with this id, or undefined when it was never ours or is retired. */
  opening(id: string): RingKey | undefined;
}

/** How a ring is written to a file, a Secret, or a message between processes. `secret` is base64. */
export interface RingDocument {
  readonly keys: readonly { readonly id: string; readonly secret: string; readonly sealFrom: number }[];
}

const KEY_BYTES = 32;
const KEY_ID = /^[0-9a-f]{8}$/;

/**
 * Reads a ring document.
 * @throws Error when it holds no key, a key of the wrong size, or two keys of one id.
 */
export function parseRing(document: RingDocument): RingKey[] {
  const keys = document.keys.map((entry) => {
    const secret = Buffer.from(entry.secret, 'base64');
    if (!KEY_ID.test(entry.id)) throw new Error(`key ring: "${entry.id}" is not a key id (8 hexadecimal digits)`);
    if (secret.length !== KEY_BYTES) throw new Error(`key ring: key ${entry.id} has ${secret.length} bytes instead of ${KEY_BYTES}`);
    if (!Number.isSafeInteger(entry.sealFrom)) throw new Error(`key ring: key ${entry.id} does not say when it seals`);
    return { id: entry.id, secret, sealFrom: entry.sealFrom };
  });
  if (keys.length === 0) throw new Error('key ring: no key');
  if (new Set(keys.map((key) => key.id)).size !== keys.length) throw new Error('key ring: two keys have the same id');
  return keys.sort((a, b) => b.sealFrom - a.sealFrom);
}

/** A ring whose keys can be replaced while it is in use. */
export interface LiveKeyRing extends KeyRing {
  replace(keys: readonly RingKey[]): void;
}

/** @param keys as `parseRing` returns them: the newest first. */
export function createKeyRing(keys: readonly RingKey[], now: () => number = Date.now): LiveKeyRing {
  let newestFirst = keys;
  let byId = index(keys);
  return {
    sealing: () => newestFirst.find((key) => key.sealFrom <= now()) ?? oldest(newestFirst),
    opening: (id) => byId.get(id),
    replace: (next) => {
      newestFirst = next;
      byId = index(next);
    },
  };
}

function index(keys: readonly RingKey[]): Map<string, RingKey> {
  return new Map(keys.map((key) => [key.id, key]));
}

/** When no key may seal yet (a clock that went back), the oldest is the one that all replicas surely have. */
function oldest(newestFirst: readonly RingKey[]): RingKey {
  const key = newestFirst.at(-1);
  if (!key) throw new Error('key ring: no key');
  return key;
}
