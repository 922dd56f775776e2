// The local runtime: declared backends as processes of this machine, kept in step with the directory.

import type { Logger } from 'pino';
import type { BackendResource } from '../../config/resources.ts';
import { createAddressRules } from '../../core/address-rules.ts';
import type { BackendName } from '../../core/ids.ts';
import type { DirectoryWriter } from '../../directory/snapshot.ts';
import { type BackendStatus, type BackendSurroundings, createProcessBackend, type LocalBackend } from './backend.ts';
import { createChildrenFile } from './children-file.ts';
import type { Environment } from './environment.ts';
import { HEALTH_TIMING, type HealthTiming } from './health.ts';
import { createPackageStore, type InstallProgress } from './package-store.ts';
import { createPorts } from './ports.ts';
import { DEFAULT_STOP_GRACE_MS } from './process-group.ts';
import { createRemoteBackend } from './remote.ts';
import type { Resolve } from './remote-address.ts';

/** How long a process that is being replaced may finish what it has; sessions that it still holds then are recovered elsewhere. */
const DEFAULT_DRAIN_MS = 30_000;
/** On top of the stop grace and SIGKILL: after this `close` gives up waiting. */
const CLOSE_MARGIN_MS = 5000;

export type { BackendStatus, InstallProgress };

export interface LocalRuntime {
  /** Makes `backends` the complete set of what runs here. Returns at once; may be called any number of times; never throws. */
  apply(resources: { readonly backends: readonly BackendResource[] }): void;
  /** Resolves when every backend is ready or has failed in a way that waiting does not mend. Rejects when `signal` aborts. */
  whenSettled(signal: AbortSignal): Promise<void>;
  status(): readonly BackendStatus[];
  /** Replaces the processes of a backend. `elsewhere`: a URL; `refused`: it cannot run here, as its status says. */
  restart(name: string): 'restarting' | 'unknown' | 'elsewhere' | 'refused';
  /** Ends every process, installation and timer; bounded; works at any time and more than once. */
  close(): Promise<void>;
}

export interface LocalRuntimeOptions {
  /** The gateway's folder (`~/.mcp-gateway`): packages, logs, working folders and the record of children live in it. */
  readonly home: string;
  readonly directory: DirectoryWriter;
  readonly log: Logger;
  /** The gateway's own environment, from which servers inherit a short list. */
  readonly environment: Environment;
  /** The command that runs the stdio bridge; its options and `-- command…` are appended. */
  readonly bridgeCommand: readonly string[];
  readonly onProgress?: (progress: InstallProgress) => void;
  /** Addresses, ranges and host names that `url:` backends from the API may lead to, besides the public internet. */
  readonly urlAllow?: readonly string[];
  readonly resolve?: Resolve;
  readonly drainMs?: number;
  readonly stopGraceMs?: number;
  readonly healthTiming?: HealthTiming;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/**
 * A runtime that runs nothing yet. Call `reapLeftovers(home)` before, or processes of a killed supervisor stay. Throws when an entry of
 * `urlAllow` makes no sense.
 */
export function createLocalRuntime(options: LocalRuntimeOptions): LocalRuntime {
  const { home, directory, log, environment, bridgeCommand, onProgress } = options;
  const { drainMs = DEFAULT_DRAIN_MS, stopGraceMs = DEFAULT_STOP_GRACE_MS, healthTiming = HEALTH_TIMING } = options;
  const closing = new AbortController();
  const children = createChildrenFile({ home });
  const packages = createPackageStore({ home, environment, children, log, onProgress, signal: closing.signal });
  const now = options.now ?? (() => performance.now());
  const rules = createAddressRules({ allow: options.urlAllow ?? [] });
  const shared = { home, environment, bridgeCommand, packages, ports: createPorts(), children, stopGraceMs, healthTiming, now };
  const backends = new Map<BackendName, { sort: 'process' | 'remote'; backend: LocalBackend }>();
  const leaving = new Set<Promise<void>>();
  const waiting = new Set<() => void>();
  let closed: Promise<void> | undefined;

  function onChange(): void {
    for (const look of waiting) {
      look();
    }
  }

  /** Files may name any address: who writes them may also run programs here. */
  function permit(address: string, { origin, spec }: BackendResource): string | undefined {
    return origin === 'api' ? rules.refusal(address, new URL(spec.url ?? '').hostname) : undefined;
  }

  function create(resource: BackendResource, sort: 'process' | 'remote'): LocalBackend {
    const surroundings: BackendSurroundings = { shared, directory, log, drainMs, onChange };
    return sort === 'remote'
      ? createRemoteBackend(resource, { home, environment, directory, log, healthTiming, onChange, permit, resolve: options.resolve })
      : createProcessBackend(resource, surroundings);
  }

  function remove(name: BackendName): void {
    const gone = backends.get(name)?.backend.stop();
    backends.delete(name);
    if (gone !== undefined) {
      leaving.add(gone);
      void gone.finally(() => leaving.delete(gone));
    }
  }

  return {
    apply({ backends: declared }) {
      if (closing.signal.aborted) {
        return;
      }
      const names = new Set(declared.map(({ name }) => name));
      for (const name of [...backends.keys()].filter((name) => !names.has(name))) {
        log.info({ backend: name }, 'backend removed');
        remove(name);
      }
      for (const resource of declared) {
        const sort = resource.spec.url === undefined ? 'process' : 'remote';
        const existing = backends.get(resource.name);
        if (existing?.sort === sort) {
          existing.backend.update(resource);
          continue;
        }
        remove(resource.name);
        log.info({ backend: resource.name, image: resource.spec.image?.text ?? resource.spec.url }, 'backend added');
        backends.set(resource.name, { sort, backend: create(resource, sort) });
      }
      onChange();
    },

    async whenSettled(signal) {
      signal.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        const done = (): void => {
          waiting.delete(look);
          signal.removeEventListener('abort', abort);
        };
        const abort = (): void => {
          done();
          reject(signal.reason as Error);
        };
        const look = (): void => {
          if (closing.signal.aborted || [...backends.values()].every(({ backend }) => backend.settled())) {
            done();
            resolve();
          }
        };
        waiting.add(look);
        signal.addEventListener('abort', abort, { once: true });
        look();
      });
    },

    restart(name) {
      const known = backends.get(name as BackendName);
      if (known === undefined) return 'unknown';
      if (known.sort === 'remote') return 'elsewhere';
      return known.backend.restart() ? 'restarting' : 'refused';
    },

    status: () => [...backends.values()].map(({ backend }) => backend.status()),

    close() {
      closed ??= (async () => {
        closing.abort(new Error('the gateway is stopping'));
        for (const name of [...backends.keys()]) {
          remove(name);
        }
        onChange();
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<void>((resolve) => {
          timer = setTimeout(resolve, stopGraceMs + CLOSE_MARGIN_MS);
        });
        await Promise.race([Promise.all([...leaving, packages.idle()]), late]);
        clearTimeout(timer);
        await children.close();
      })();
      return closed;
    },
  };
}
