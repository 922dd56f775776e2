// The file that audit lines are appended to, by several processes at once: opened late, and again when it was moved away.

import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LineTarget } from './line-queue.ts';

/** How often it is looked at whether the path still names the open file (logrotate renames it). */
const LOOK_MS = 1_000;
/** Not blocking: a FIFO that nobody reads must fail, not keep one of the few threads that do file work. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
const LINE_FEED = Buffer.from('\n');
/** Failures that opening the file again would not mend. */
const NO_ROOM: ReadonlySet<string | undefined> = new Set(['EAGAIN', 'ENOSPC', 'EDQUOT']);

interface Opened {
  readonly handle: FileHandle;
  readonly inode: number;
  readonly device: number;
  /** Others append to it too; a FIFO belongs to this process alone. */
  readonly shared: boolean;
}

export interface AuditFile extends LineTarget {
  close(): void;
}

/** Nothing here is synchronous: the disk may be slow, the folder a mount that hangs. */
export function createAuditFile(path: string, now: () => number = () => performance.now()): AuditFile {
  let file: Opened | undefined;
  let lookedAt = 0;
  /** The last write ended within a line. */
  let cut = false;

  const forget = (): void => {
    file?.handle.close().catch(() => {});
    file = undefined;
  };

  const opened = async (): Promise<Opened> => {
    if (file && now() - lookedAt < LOOK_MS) return file;
    lookedAt = now();
    if (file) {
      const found = await stat(path).catch(() => undefined);
      if (found?.ino === file.inode && found.dev === file.device) return file;
      forget();
    }
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const handle = await open(path, FLAGS, 0o600);
    const stats = await handle.stat();
    file = { handle, inode: stats.ino, device: stats.dev, shared: stats.isFile() };
    return file;
  };

  return {
    async append(bytes) {
      const { handle, shared } = await opened();
      // What another process appends after a cut must not become the end of our line.
      const mended = cut ? Buffer.concat([LINE_FEED, bytes]) : bytes;
      let written: number;
      try {
        written = (await handle.write(mended)).bytesWritten - (mended.length - bytes.length);
      } catch (error) {
        if (!NO_ROOM.has((error as NodeJS.ErrnoException).code)) forget();
        throw error;
      }
      cut = false;
      if (!shared || written === bytes.length) return written;
      // A short write to a file is a disk that is full. The line that was cut comes again as a whole.
      const whole = written > 0 ? bytes.lastIndexOf(0x0a, written - 1) + 1 : 0;
      cut = written > whole;
      if (whole === 0) throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' });
      return whole;
    },
    close: forget,
  };
}
