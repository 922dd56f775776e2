// The gateway's own processes: started again when they end, and none left when they are to stop, whatever moment that is.

import { setImmediate as turn } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Supervised, supervise } from '../../src/app/supervised.ts';
import { type ChildrenFile, createChildrenFile } from '../../src/runtime/local/children-file.ts';
import { descendantsOf, killAndWait } from '../harness/processes.ts';
import { createScratch, type Scratch } from '../harness/scratch.ts';
import { waitFor } from '../harness/wait-for.ts';

const MARK = 'supervised-by-a-test';

let scratch: Scratch;
let children: ChildrenFile;
beforeEach(() => {
  scratch = createScratch();
  children = createChildrenFile({ home: scratch.folder });
});
afterEach(async () => {
  await children.close();
  scratch.remove();
});

const start = (): Supervised =>
  supervise({
    name: 'test',
    command: [process.execPath, '-e', `/* ${MARK} */ setInterval(() => {}, 1000)`],
    env: {},
    cwd: scratch.folder,
    children,
    output: () => {},
    log: pino({ level: 'silent' }),
    stopGraceMs: 2_000,
  });
const running = () => descendantsOf(process.pid).filter(({ command }) => command.includes(MARK));

test('a process that was killed is started again', async () => {
  const supervised = start();
  const first = await waitFor('the first one', () => supervised.pid());
  await killAndWait(first);
  await waitFor('the next one', () => supervised.pid() !== undefined && supervised.pid() !== first);
  await supervised.stop();
  expect(running()).toEqual([]);
});

test.each([0, 1, 2, 3, 5, 8])('is stopped also %i turns after the moment at which it is started', async (turns) => {
  const supervised = start();
  for (let n = 0; n < turns; n += 1) await turn();
  await supervised.stop();
  expect(running()).toEqual([]);
});
