// The key ring on disk: made on first use, rotated in two phases, readable by its owner only.

import { randomBytes } from 'node:crypto';
import { chmod, link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { parseRing, type RingDocument, type RingKey } from './key-ring.ts';

/** How long a new key only opens: every process that watches the ring has read it by then. */
export const PROPAGATION_MS = 10_000;
/** A key opens for the longest life of an id (30 days) after its successor took over. */
const OPENING_MS = 30 * 24 * 3_600_000;

/** @throws Error when the file exists but is no key ring: sealing with a new key would lose every session silently. */
export async function loadRing(file: string): Promise<RingKey[]> {
  return parseRing(parseJson(await readFile(file, 'utf8')) as RingDocument);
}

/** Reads the ring, or writes a first one. */
export async function loadOrCreateRing(file: string, now: number = Date.now()): Promise<RingKey[]> {
  try {
    return await loadRing(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw new Error(`${file} is not usable: ${(error as Error).message}`);
  }
  const keys = [newKey(now)];
  return (await isFirst(file, keys)) ? keys : loadRing(file);
}

/** Adds a key that seals after `PROPAGATION_MS`, and drops those that no living id can have been sealed with. */
export async function rotateRing(file: string, now: number = Date.now()): Promise<RingKey[]> {
  const kept = rotated(await loadOrCreateRing(file, now), { now, propagationMs: PROPAGATION_MS });
  await saveRing(file, kept);
  return kept;
}

/** A ring with a key more, which seals when every process has read it, and without those that open nothing any more. `ring` may be empty. */
export function rotated(
  ring: readonly RingKey[],
  { now, propagationMs }: { readonly now: number; readonly propagationMs: number },
): RingKey[] {
  const all = [newKey(ring.length === 0 ? now : now + propagationMs), ...ring];
  return all.filter((_, position) => {
    const successor = all[position - 1];
    return !successor || successor.sealFrom + OPENING_MS > now;
  });
}

/** The form that travels between processes of one machine, over a socket that only the owner can open. */
export function ringDocument(keys: readonly RingKey[]): RingDocument {
  return { keys: keys.map((key) => ({ id: key.id, secret: key.secret.toString('base64'), sealFrom: key.sealFrom })) };
}

async function saveRing(file: string, keys: readonly RingKey[]): Promise<void> {
  await rename(await writeBeside(file, keys), file);
}

/** Gateways that share the file may start at once: one of them makes it, whole from the first moment, and the others read it. */
async function isFirst(file: string, keys: readonly RingKey[]): Promise<boolean> {
  const temporary = await writeBeside(file, keys);
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    // A file system without links.
    await rename(temporary, file);
    return true;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function writeBeside(file: string, keys: readonly RingKey[]): Promise<string> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  await writeFile(temporary, `${JSON.stringify(ringDocument(keys), null, 2)}\n`, { mode: 0o600 });
  await chmod(temporary, 0o600);
  return temporary;
}

/** The parser's own message quotes the text around the fault: a piece of a secret, on its way to a log. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('key ring: not JSON');
  }
}

function newKey(sealFrom: number): RingKey {
  return { id: randomBytes(4).toString('hex'), secret: randomBytes(32), sealFrom };
}
