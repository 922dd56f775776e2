// A copy of one kind of objects: listed once, then followed by a watch; through restarts of the API server, gaps and expired versions.

import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type KubeObject, type KubeResource, keyOf, pathOf } from './objects.ts';
import { errorOf, KubeError, type Transport, textOf } from './transport.ts';

const PAGE = 500;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 10_000;
/** The server ends a watch after this time; each gets another one, so that they do not all come at once. */
const WATCH_SECONDS = 240;
/** A watch that says nothing for longer than the server lets it live has lost its connection. Bookmarks come every minute. */
const SILENCE_MS = 90_000;
const MAX_EVENT_CHARS = 8 * 1024 * 1024;
const LIST_TIMEOUT_MS = 60_000;

export interface Reflector<T extends KubeObject = KubeObject> {
  /** By `namespace/name`. What was seen last, also while the API server is away. */
  readonly items: ReadonlyMap<string, T>;
  /** Resolves when all of them have been seen once. Does not reject. */
  readonly synced: Promise<void>;
  /** `object` undefined: it is gone. Returns what ends it. */
  onChange(listener: (key: string, object: T | undefined) => void): () => void;
  /** Whether the copy is followed at the moment. */
  readonly connected: () => boolean;
  close(): Promise<void>;
}

export interface ReflectorOptions {
  readonly transport: Pick<Transport, 'open' | 'ask'>;
  readonly kind: KubeResource;
  /** Undefined: in every namespace. */
  readonly namespace: string | undefined;
  readonly labelSelector?: string;
  readonly log: Logger;
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: KubeObject & { readonly code?: number; readonly reason?: string; readonly message?: string };
}

export function createReflector<T extends KubeObject = KubeObject>(options: ReflectorOptions): Reflector<T> {
  const { transport, kind, namespace, labelSelector, log } = options;
  const closing = new AbortController();
  const items = new Map<string, T>();
  const listeners = new Set<(key: string, object: T | undefined) => void>();
  let connected = false;
  let announce = (): void => {};
  const synced = new Promise<void>((resolve) => {
    announce = resolve;
  });
  const selector: Record<string, string> = labelSelector === undefined ? {} : { labelSelector };
  const pathWith = (query: Record<string, string>): string =>
    `${pathOf(kind, namespace)}?${new URLSearchParams({ ...selector, ...query }).toString()}`;

  const put = (key: string, object: T | undefined): void => {
    if (object === undefined) {
      if (!items.delete(key)) return;
    } else {
      if (object.metadata.resourceVersion !== undefined && items.get(key)?.metadata.resourceVersion === object.metadata.resourceVersion)
        return;
      items.set(key, object);
    }
    for (const listener of [...listeners]) listener(key, object);
  };

  /** The version that the whole list is of. */
  const list = async (): Promise<string> => {
    const seen = new Map<string, T>();
    let more = '';
    let version = '';
    do {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(LIST_TIMEOUT_MS)]);
      const path = pathWith({ limit: String(PAGE), ...(more !== '' && { continue: more }) });
      const page = (await transport.ask({ method: 'GET', path, signal })) as {
        readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
        readonly items?: readonly T[];
      };
      for (const object of page.items ?? []) seen.set(keyOf(object), object);
      version = page.metadata?.resourceVersion ?? '';
      more = page.metadata?.continue ?? '';
    } while (more !== '');
    for (const key of [...items.keys()]) if (!seen.has(key)) put(key, undefined);
    for (const [key, object] of seen) put(key, object);
    return version;
  };

  const take = ({ type, object }: WatchEvent): string | undefined => {
    if (type === 'ERROR') throw new KubeError(object.code ?? 500, object.reason ?? '', object.message ?? 'the watch failed');
    if (type !== 'BOOKMARK') put(keyOf(object), type === 'DELETED' ? undefined : (object as unknown as T));
    return object.metadata.resourceVersion;
  };

  /** Follows until the server ends the watch. Gives the version to go on from. */
  const follow = async (from: string, reached: () => void): Promise<string> => {
    const gone = new AbortController();
    const signal = AbortSignal.any([closing.signal, gone.signal]);
    const silent = (): void => gone.abort(new Error('the watch has been silent for too long'));
    let silence = setTimeout(silent, SILENCE_MS);
    try {
      const timeoutSeconds = String(WATCH_SECONDS + Math.floor(Math.random() * 60));
      const path = pathWith({ watch: 'true', resourceVersion: from, allowWatchBookmarks: 'true', timeoutSeconds });
      const answer = await transport.open({ method: 'GET', path, signal });
      if ((answer.statusCode ?? 0) >= 400) throw errorOf(answer.statusCode ?? 0, await textOf(answer));
      reached();
      let version = from;
      let rest = '';
      answer.setEncoding('utf8');
      for await (const piece of answer as AsyncIterable<string>) {
        clearTimeout(silence);
        silence = setTimeout(silent, SILENCE_MS);
        const lines = (rest + piece).split('\n');
        rest = lines.pop() ?? '';
        if (rest.length > MAX_EVENT_CHARS) throw new Error(`an event is longer than ${MAX_EVENT_CHARS} characters`);
        for (const line of lines) if (line !== '') version = take(JSON.parse(line) as WatchEvent) ?? version;
      }
      return version;
    } finally {
      clearTimeout(silence);
      gone.abort();
    }
  };

  const run = async (): Promise<void> => {
    let failures = 0;
    let version: string | undefined;
    while (!closing.signal.aborted) {
      try {
        if (version === undefined) {
          version = await list();
          announce();
        }
        connected = true;
        version = await follow(version, () => {
          failures = 0;
        });
      } catch (error) {
        if (closing.signal.aborted) return;
        connected = false;
        const code = error instanceof KubeError ? error.code : 0;
        // 410: so much has changed since that the server no longer knows. 400: it never knew this version (another etcd).
        if (code >= 400) version = undefined;
        failures += 1;
        if (code !== 410) log.warn({ err: error, kind: kind.plural }, 'watch broken: it is resumed');
        const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 10));
        const wait = code === 410 && failures === 1 ? 0 : longest * (0.5 + Math.random() / 2);
        await delay(wait, undefined, { signal: closing.signal }).catch(() => {});
      }
    }
  };
  const running = run();

  return {
    items,
    synced,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    connected: () => connected,
    async close() {
      closing.abort(new Error('closed'));
      await running;
    },
  };
}
