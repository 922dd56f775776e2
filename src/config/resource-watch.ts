// Tells when a folder of resource files says something new.

import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createResourceLoader, listResourceFiles, type ResourceSet } from './resource-files.ts';

/** A change counts once nothing has changed for this long: editors and `cp` write in several steps. */
const DEBOUNCE_MS = 100;
/**
 * How often the folder is looked at without being told. Events alone miss what happens on network and container mounts, and a folder
 * that is deleted and made again; a look costs one readdir and a stat per file (measured: 1.1 ms of CPU for 20 files).
 */
const POLL_MS = 1000;

export interface ResourceWatcher {
  /** What the folder said when the watcher started. */
  readonly initial: ResourceSet;
  /** Stops watching; a callback already under way may still end. */
  close(): void;
}

/**
 * Loads a folder and calls `onChange` with the complete new set whenever a file is added, changed, removed or replaced.
 * The folder need not exist yet. Events of the file system make it quick; a look every `pollMs` makes it sure.
 */
export async function watchResources(options: {
  folder: string;
  onChange: (resources: ResourceSet) => void;
  debounceMs?: number;
  pollMs?: number;
}): Promise<ResourceWatcher> {
  const { folder, onChange, debounceMs = DEBOUNCE_MS, pollMs = POLL_MS } = options;
  const loader = createResourceLoader({ folder });
  let closed = false;
  let looking = false;
  /** Something has happened since the last look began: it may have seen only the half of it. */
  let stirred = false;
  let timer: NodeJS.Timeout | undefined;
  let events: FSWatcher | undefined;
  let { inode, text: seen } = await signature(folder);
  let loaded = seen;
  const initial = await loader.load();

  function lookIn(delayMs: number): void {
    if (!closed) {
      clearTimeout(timer);
      timer = setTimeout(() => void look(), delayMs);
    }
  }

  async function look(): Promise<void> {
    if (looking || closed) {
      return;
    }
    looking = true;
    stirred = false;
    try {
      const { inode: current, text: now } = await signature(folder);
      if (current !== inode) {
        inode = current;
        forget();
      }
      const quiet = now === seen;
      seen = now;
      if (quiet && now !== loaded) {
        loaded = now;
        const resources = await loader.load();
        if (!closed) {
          onChange(resources);
        }
      }
    } finally {
      looking = false;
      listen();
      lookIn(seen === loaded && !stirred ? pollMs : debounceMs);
    }
  }

  function forget(): void {
    events?.close();
    events = undefined;
  }

  // An inotify watch follows the folder's inode: when the folder goes, its events go too, and a new watch is needed for the new one.
  function listen(): void {
    if (closed || events !== undefined) {
      return;
    }
    try {
      events = watch(folder, { persistent: false }, () => {
        // The first of many: a file that is written all the time must not put off the look for ever.
        if (!stirred) lookIn(debounceMs / 2);
        stirred = true;
      });
      events.on('error', forget);
    } catch {
      events = undefined;
    }
  }

  listen();
  lookIn(pollMs);
  return {
    initial,
    close() {
      closed = true;
      clearTimeout(timer);
      events?.close();
    },
  };
}

/** `text` changes whenever a resource file is added, removed, replaced or written to; `inode` when the folder is another one. */
async function signature(folder: string): Promise<{ inode: bigint | undefined; text: string }> {
  const [root, files] = await Promise.all([stat(folder, { bigint: true }).catch(() => undefined), listResourceFiles(folder)]);
  const inode = root?.ino;
  if (typeof files === 'string') {
    return { inode, text: files };
  }
  const parts = await Promise.all(
    files.map((file) =>
      stat(file, { bigint: true }).then(
        (about) => `${file}:${about.ino}:${about.size}:${about.mtimeNs}:${about.ctimeNs}`,
        () => `${file}:gone`,
      ),
    ),
  );
  return { inode, text: parts.join('\n') };
}
