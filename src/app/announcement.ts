// The note in its home in which a running gateway says where it is to be reached: written here, and read by commands.

import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** `url` is for clients, `admin` for this machine; both without a slash at the end. */
export interface Announcement {
  readonly pid: number;
  readonly url: string;
  readonly admin: string;
}

export async function writeAnnouncement(home: string, announcement: Announcement): Promise<void> {
  const file = fileIn(home);
  const temporary = `${file}.tmp`;
  await writeFile(temporary, `${JSON.stringify(announcement)}\n`, { mode: 0o600 });
  await rename(temporary, file);
}

export function removeAnnouncement(home: string): Promise<void> {
  return rm(fileIn(home), { force: true });
}

/** Undefined when no gateway runs in this home. */
export async function readAnnouncement(home: string): Promise<Announcement | undefined> {
  let text: string;
  try {
    text = await readFile(fileIn(home), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const announcement = JSON.parse(text) as Announcement;
  // What a killed gateway has left: another program may listen on its port by now, and must not be sent the token.
  return isAlive(announcement.pid) ? announcement : undefined;
}

function fileIn(home: string): string {
  return join(home, 'gateway.json');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // Also when the process is another user's: that is no gateway with a home of ours.
    return false;
  }
}
