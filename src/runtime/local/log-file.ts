// The output of one server process on disk: appended, and moved aside when it gets large.

import { type FileHandle, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A log grows to this size, then becomes `<file>.1`, replacing the one before: at most twice this much per process. */
export const MAX_LOG_BYTES = 10 * 1_048_576;

export interface LogFile {
  readonly path: string;
  /** Appends; calls are carried out in order. A disk that cannot be written to loses output, not the process: never rejects. */
  write(chunk: Uint8Array): Promise<void>;
  /** Closes after what was written so far. */
  close(): Promise<void>;
}

/** A log file that opens (and makes its folder) at the first write. */
export function createLogFile({ path, maxBytes = MAX_LOG_BYTES }: { path: string; maxBytes?: number }): LogFile {
  let file: FileHandle | undefined;
  let size = 0;
  let tail: Promise<void> = Promise.resolve();

  async function append(chunk: Uint8Array): Promise<void> {
    if (file === undefined) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      file = await open(path, 'a', 0o600);
      size = (await file.stat()).size;
    }
    if (size > 0 && size + chunk.length > maxBytes) {
      await file.close();
      file = undefined;
      await rename(path, `${path}.1`);
      file = await open(path, 'a', 0o600);
      size = 0;
    }
    await file.write(chunk.subarray(0, maxBytes));
    size += chunk.length;
  }

  const enqueue = (work: () => Promise<void>): Promise<void> => {
    tail = tail.then(work).catch(() => undefined);
    return tail;
  };

  return {
    path,
    write: (chunk) => enqueue(() => append(chunk)),
    close: () =>
      enqueue(async () => {
        const open = file;
        file = undefined;
        await open?.close();
      }),
  };
}
