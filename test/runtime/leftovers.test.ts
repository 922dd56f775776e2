// What a supervisor that was killed with SIGKILL leaves behind is ended by the next one, and nothing else is.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { reapLeftovers } from '../../src/runtime/local/children-file.ts';
import { alive, until } from './world.ts';

const SUPERVISOR = fileURLToPath(new URL('./fixtures/supervisor.ts', import.meta.url));

describe('reapLeftovers', () => {
  let home: string;
  let record: string;
  let supervisor: ChildProcess;
  let pids: number[];
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'mcp-gateway-leftovers-'));
    record = join(home, 'run', 'children.json');
    supervisor = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), SUPERVISOR, home], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface({ input: supervisor.stdout as NodeJS.ReadableStream }), 'line')) as [string];
    pids = JSON.parse(line) as number[];
  });
  afterEach(async () => {
    supervisor.kill('SIGKILL');
    for (const pid of pids.filter(alive)) {
      process.kill(pid, 'SIGKILL');
    }
    await rm(home, { recursive: true, force: true });
  });

  async function killSupervisor(): Promise<void> {
    supervisor.kill('SIGKILL');
    await once(supervisor, 'exit');
  }

  it('ends the processes of a killed supervisor', async () => {
    expect(pids).toHaveLength(2);
    await killSupervisor();
    expect(pids.filter(alive)).toEqual(pids);
    const reaped = await reapLeftovers(home);
    expect([...reaped.pids].sort()).toEqual(pids.sort());
    await until('all gone', () => pids.filter(alive).length === 0);
    expect(await reapLeftovers(home)).toEqual({ pids: [], ownedBy: undefined });
  });

  it('leaves the processes of a living supervisor alone', async () => {
    expect(await reapLeftovers(home)).toEqual({ pids: [], ownedBy: supervisor.pid });
    expect(pids.filter(alive)).toEqual(pids);
  });

  it('does not touch a process that merely has the same pid', async () => {
    await killSupervisor();
    const contents = JSON.parse(await readFile(record, 'utf8')) as { children: { start: string }[] };
    for (const child of contents.children) {
      child.start = `${child.start}0`;
    }
    await writeFile(record, JSON.stringify(contents));
    expect(await reapLeftovers(home)).toEqual({ pids: [], ownedBy: undefined });
    expect(pids.filter(alive)).toEqual(pids);
  });
});

it.each(['', '{', '[]', '{"supervisor":{"pid":1,"start":""},"children":[{"pid":-1,"start":"x"}]}'])(
  'a record that says %j is no record',
  async (text) => {
    const other = await mkdtemp(join(tmpdir(), 'mcp-gateway-leftovers-'));
    await mkdir(join(other, 'run'));
    await writeFile(join(other, 'run', 'children.json'), text);
    expect(await reapLeftovers(other)).toEqual({ pids: [], ownedBy: undefined });
    await rm(other, { recursive: true });
  },
);
