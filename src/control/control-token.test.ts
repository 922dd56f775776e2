// The control token: made once, private, replaced when others could read it, and compared as a whole.

import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTokenCheck, loadOrCreateToken, readToken } from './control-token.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'token-'));
  file = join(folder, 'token');
});
afterEach(() => rmSync(folder, { recursive: true }));

const modeOf = (): number => statSync(file).mode & 0o777;

test('is made with 256 random bits, for its owner only, and kept', async () => {
  const token = await loadOrCreateToken(file);
  expect(Buffer.from(token, 'base64url')).toHaveLength(32);
  expect([modeOf(), readFileSync(file, 'utf8'), readdirSync(folder)]).toEqual([0o600, `${token}\n`, ['token']]);
  expect(await loadOrCreateToken(file)).toBe(token);
  expect(await readToken(file)).toBe(token);
});

test.each([0o640, 0o604, 0o644, 0o620])('with mode %o others may know it: another one takes its place', async (mode) => {
  const token = await loadOrCreateToken(file);
  chmodSync(file, mode);
  const next = await loadOrCreateToken(file);
  expect(next).not.toBe(token);
  expect([modeOf(), await readToken(file)]).toEqual([0o600, next]);
});

test.each(['', 'short', `${'a'.repeat(43)} b`, 'a'.repeat(5_000)])(
  'a file with something else is an error that does not quote it',
  async (text) => {
    writeFileSync(file, text, { mode: 0o600 });
    for (const use of [loadOrCreateToken, readToken])
      await expect(use(file)).rejects.toThrow(/^\S+\/token holds no control token: remove it/);
  },
);

test('no file, no token; what is no file is one clear line', async () => {
  expect(await readToken(file)).toBeUndefined();
  await expect(readToken(folder)).rejects.toThrow('control token');
});

test('only the whole token in a Bearer header counts', () => {
  const token = 'abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNO_';
  const shows = createTokenCheck(token);
  expect([`Bearer ${token}`, `bearer ${token}`, `BEARER  ${token} `].map(shows)).toEqual([true, true, true]);
  const wrong = [undefined, '', 'Bearer', 'Bearer ', token, `Basic ${token}`, `Bearer ${token}x`, `Bearer ${token.slice(1)}`];
  expect([...wrong, `Bearer ${token}, Bearer ${token}`, `Bearer ${token.toLowerCase()}`].map(shows)).toEqual(Array(10).fill(false));
});
