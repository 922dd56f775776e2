// Of many who want a home at the same moment one gets it; one whose owner is gone is taken over.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { lockHome, OwnedBy } from './home-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'lock-'));
const file = join(folder, 'lock');
afterEach(() => rmSync(file, { force: true }));

/** A living process that is not this one: the one that has started it. */
const OTHER = process.ppid;

test('is given back, and can be had again', async () => {
  const release = await lockHome(file);
  await expect(lockHome(file, OTHER)).rejects.toEqual(new OwnedBy(process.pid));
  await release();
  await (await lockHome(file, OTHER))();
  expect(readdirSync(folder)).toEqual([]);
});

test.each(['nobody has it', 'its owner is gone', 'it is garbage'])('when %s, one of two gets it', async (how) => {
  const { pid } = spawnSync('true');
  for (let round = 0; round < 20; round += 1) {
    if (how !== 'nobody has it') writeFileSync(file, how === 'it is garbage' ? '?' : `${pid} 1\n`);
    const outcomes = await Promise.allSettled([lockHome(file), lockHome(file, OTHER)]);
    const got = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(got).toHaveLength(1);
    await got[0]?.();
  }
  expect(readdirSync(folder)).toEqual([]);
});
