// The key file: who can read it, rotation in two phases, and files that are no key ring.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadOrCreateRing, loadRing, PROPAGATION_MS, ringDocument, rotateRing } from './key-file.ts';
import { createKeyRing, parseRing } from './key-ring.ts';

const DAY_MS = 24 * 3_600_000;
let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keys-'));
  file = join(folder, 'keys.json');
});
afterEach(() => rmSync(folder, { recursive: true }));

test('the first use makes a key, later ones find it', async () => {
  const made = await loadOrCreateRing(file, 5);
  expect(made).toHaveLength(1);
  expect(await loadOrCreateRing(file, 6)).toEqual(made);
  expect(await loadRing(file)).toEqual(made);
});

test('gateways that start at once on one file have one key', async () => {
  const made = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateRing(file)));
  expect(made).toEqual(made.map(() => made[0]));
  expect(await loadRing(file)).toEqual(made[0]);
  expect(readdirSync(folder)).toEqual(['keys.json']);
});

test('only the owner can read it, also after a rotation of a file that was too open', async () => {
  await loadOrCreateRing(file);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  writeFileSync(file, readFileSync(file), { mode: 0o644 });
  await rotateRing(file);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('a rotation adds a key that opens now and seals when everybody has it', async () => {
  const [first] = await loadOrCreateRing(file, 1_000);
  const [second, ...others] = await rotateRing(file, 50_000);
  expect(others).toEqual([first]);
  expect(second?.sealFrom).toBe(50_000 + PROPAGATION_MS);
  let now = 50_000 + PROPAGATION_MS - 1;
  const ring = createKeyRing(await loadRing(file), () => now);
  expect(ring.sealing().id).toBe(first?.id);
  now += 1;
  expect(ring.sealing().id).toBe(second?.id);
});

test('a key opens for 30 days after its successor took over', async () => {
  const [first] = await loadOrCreateRing(file, 0);
  const [second] = await rotateRing(file, 0);
  const takeOver = second?.sealFrom ?? Number.NaN;
  const ids = (keys: { id: string }[]) => keys.map(({ id }) => id);
  expect(ids(await rotateRing(file, takeOver + 30 * DAY_MS - 1))).toContain(first?.id);
  const kept = ids(await rotateRing(file, takeOver + 30 * DAY_MS));
  expect(kept).not.toContain(first?.id);
  expect(kept).toContain(second?.id);
});

describe('a broken file', () => {
  const good = { id: '0123abcd', secret: Buffer.alloc(32, 1).toString('base64'), sealFrom: 0 };
  test.each([
    ['cut', '{"keys":[{"id":"0123abcd","secr'],
    ['empty', ''],
    ['without keys', '{"keys":[]}'],
    ['of another shape', '[]'],
    ['with a short key', JSON.stringify({ keys: [{ ...good, secret: 'AAAA' }] })],
    ['with a strange id', JSON.stringify({ keys: [{ ...good, id: '0123ABCD' }] })],
    ['with one id twice', JSON.stringify({ keys: [good, good] })],
    ['without a moment', JSON.stringify({ keys: [{ ...good, sealFrom: undefined }] })],
  ])('%s is an error that stays', async (_, text) => {
    writeFileSync(file, text);
    await expect(loadOrCreateRing(file)).rejects.toThrow(`${file} is not usable`);
    await expect(rotateRing(file)).rejects.toThrow(file);
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('is not quoted in the message: it holds secrets', async () => {
    // A lost quote: the parser stumbles over the secret itself.
    writeFileSync(file, JSON.stringify({ keys: [good] }).replace('"secret":"', '"secret":very-secret'));
    const message = await loadOrCreateRing(file).catch((error: Error) => error.message);
    expect(message).toContain('is not usable');
    expect(message).not.toContain('secret');
  });
});

test('a ring survives the way through a document', async () => {
  const keys = await rotateRing(file, 9);
  expect(parseRing(JSON.parse(JSON.stringify(ringDocument(keys))))).toEqual(keys);
});
