// `<home>/run/children.json`: which processes a supervisor has started, so that the next one can end what a killed one left behind.

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { stopGroup } from './process-group.ts';
import { processStart } from './process-start.ts';

const LEFTOVER_GRACE_MS = 2000;

const entry = z.object({ pid: z.int().min(2), start: z.string() });
const contents = z.object({ supervisor: entry, children: z.array(entry) });
type Entry = z.infer<typeof entry>;

/** The record of the running children of one supervisor. */
export interface ChildrenFile {
  /** Writes down a process just started. Never rejects: without the record everything works except the cleaning up after a SIGKILL. */
  add(pid: number): Promise<void>;
  remove(pid: number): Promise<void>;
  /** Waits for what is under way and removes the file when no child is left. */
  close(): Promise<void>;
}

export interface Reaped {
  /** Leaders of the process groups that were ended. */
  readonly pids: readonly number[];
  /** The pid of a supervisor that is still alive and owns this home: then nothing was touched. */
  readonly ownedBy: number | undefined;
}

/** Opens the record for this process. Call `reapLeftovers` first: the record of an earlier supervisor is overwritten. */
export function createChildrenFile({ home, supervisor = process.pid }: { home: string; supervisor?: number }): ChildrenFile {
  const folder = join(home, 'run');
  const file = join(folder, 'children.json');
  const children = new Map<number, Entry>();
  let own: Entry | undefined;
  let tail: Promise<void> = Promise.resolve();

  async function save(): Promise<void> {
    own ??= { pid: supervisor, start: (await processStart(supervisor)) ?? '' };
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(`${file}.new`, `${JSON.stringify({ supervisor: own, children: [...children.values()] }, null, 1)}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
  }

  const enqueue = (work: () => Promise<void>): Promise<void> => {
    tail = tail.then(work).catch(() => undefined);
    return tail;
  };

  return {
    async add(pid) {
      const start = await processStart(pid);
      if (start !== undefined) {
        await enqueue(() => {
          children.set(pid, { pid, start });
          return save();
        });
      }
    },
    remove: (pid) => enqueue(async () => (children.delete(pid) ? save() : undefined)),
    close: () => enqueue(async () => (children.size === 0 ? rm(file, { force: true }) : undefined)),
  };
}

/**
 * Ends the process groups that a supervisor of `home` left behind when it was killed. A process counts only when pid and start time
 * both match the record; nothing happens while that supervisor is alive. Takes at most about 4 s.
 */
export async function reapLeftovers(home: string): Promise<Reaped> {
  const file = join(home, 'run', 'children.json');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const parsed = contents.safeParse(parseJson(text));
  if (!parsed.success) {
    return { pids: [], ownedBy: undefined };
  }
  const { supervisor, children } = parsed.data;
  if (supervisor.pid !== process.pid && (await lives(supervisor))) {
    return { pids: [], ownedBy: supervisor.pid };
  }
  const alive = await Promise.all(children.map(lives));
  const pids = children.filter((_, at) => alive[at]).map(({ pid }) => pid);
  await Promise.all(pids.map((pid) => stopGroup(pid, LEFTOVER_GRACE_MS)));
  await rm(file, { force: true });
  return { pids, ownedBy: undefined };
}

async function lives({ pid, start }: Entry): Promise<boolean> {
  return (await processStart(pid)) === start;
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
