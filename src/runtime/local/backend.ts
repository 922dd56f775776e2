// One declared backend that runs as processes here: how many, which generation serves, and how a new one takes over.

import { join } from 'node:path';
import type { Logger } from 'pino';
import type { BackendResource } from '../../config/resources.ts';
import type { DirectoryWriter } from '../../directory/snapshot.ts';
import { toPolicy } from '../policy.ts';
import { processKey, whyNotHere } from './command.ts';
import { createLogFile, type LogFile } from './log-file.ts';
import { createReplica, type InstanceStatus, type Replica, type ReplicaShared } from './replica.ts';

/** How a backend is doing, for people. `desired`, `ready` and `updated` (ready, and as declared now) count instances. `message`: what is under way or wrong, or empty. */
export interface BackendStatus {
  readonly name: string;
  /** The image as declared, or the URL. */
  readonly image: string;
  readonly desired: number;
  readonly ready: number;
  readonly updated: number;
  readonly instances: readonly InstanceStatus[];
  readonly message: string;
}

/** A backend under the local runtime's care, whatever it consists of. */
export interface LocalBackend {
  /** Takes a changed declaration of the same name and the same sort. */
  update(resource: BackendResource): void;
  status(): BackendStatus;
  /** Replaces what runs, as a change does: the old processes serve until the new ones are ready. False: nothing runs here. */
  restart(): boolean;
  /** Nothing is under way that is still worth waiting for. */
  settled(): boolean;
  /** Removes it from the directory at once and ends what it runs; bounded. */
  stop(): Promise<void>;
}

/** What a backend needs around it. */
export interface BackendSurroundings {
  readonly shared: ReplicaShared;
  readonly directory: DirectoryWriter;
  readonly log: Logger;
  /** How long a process that is being replaced may finish what it has. */
  readonly drainMs: number;
  readonly onChange: () => void;
}

/**
 * Starts the declared processes. A declaration that cannot run on this machine changes nothing: what ran before goes on, and the
 * status says why.
 */
export function createProcessBackend(first: BackendResource, surroundings: BackendSurroundings): LocalBackend {
  const { shared, directory, log, drainMs, onChange } = surroundings;
  const logs = new Map<number, LogFile>();
  /** The generation that is wanted, and processes of earlier ones that serve until it is ready, or finish what they have. */
  let wanted: Replica[] = [];
  let earlier: Replica[] = [];
  const leaving = new Map<Replica, Promise<void>>();
  const drains = new Map<Replica, NodeJS.Timeout>();
  let declared = first;
  let running: BackendResource | undefined;
  let refusal: string | undefined;
  let policy = '';
  let published = '[]';
  let stopped = false;

  function update(resource: BackendResource): void {
    declared = resource;
    refusal = whyNotHere(resource);
    if (refusal !== undefined) {
      log.error({ backend: resource.name, reason: refusal }, 'backend refused');
      return;
    }
    const replace = running === undefined || processKey(running) !== processKey(resource);
    running = resource;
    const nextPolicy = toPolicy(resource);
    if (JSON.stringify(nextPolicy) !== policy) {
      policy = JSON.stringify(nextPolicy);
      directory.putBackend(nextPolicy);
    }
    if (replace) {
      replaceAll();
    }
    for (const replica of wanted.filter(({ ordinal }) => ordinal >= resource.spec.replicas)) {
      wanted = wanted.filter((other) => other !== replica);
      earlier.push(replica);
      drain(replica);
    }
    fillUp(resource);
    changed();
  }

  function replaceAll(): void {
    const unready = wanted.filter((replica) => !isReady(replica));
    earlier.push(...wanted);
    wanted = [];
    for (const replica of unready) {
      leave(replica);
    }
  }

  function fillUp(resource: BackendResource): void {
    while (wanted.length < resource.spec.replicas) {
      wanted.push(start(resource, freeOrdinal()));
    }
  }

  function freeOrdinal(): number {
    const taken = new Set(wanted.map(({ ordinal }) => ordinal));
    let ordinal = 0;
    while (taken.has(ordinal)) {
      ordinal += 1;
    }
    return ordinal;
  }

  /** An earlier generation is restarted as it was declared; the wanted one follows changes that need no new process. */
  function start(resource: BackendResource, ordinal: number): Replica {
    const key = processKey(resource);
    const current = (): BackendResource => (running !== undefined && processKey(running) === key ? running : resource);
    let logFile = logs.get(ordinal);
    if (logFile === undefined) {
      logFile = createLogFile({ path: join(shared.home, 'logs', `${resource.name}-${ordinal}.log`) });
      logs.set(ordinal, logFile);
    }
    return createReplica({ shared, current, ordinal, logFile, log, onChange: changed });
  }

  function changed(): void {
    if (stopped) {
      return;
    }
    for (const replica of [...drains.keys()].filter((replica) => replica.instance() === undefined)) {
      leave(replica);
    }
    if (earlier.length > 0 && wanted.every(isReady)) {
      for (const replica of earlier) {
        drain(replica);
      }
    }
    const instances = [...wanted, ...earlier].map((replica) => replica.instance()).filter((instance) => instance !== undefined);
    if (JSON.stringify(instances) !== published) {
      published = JSON.stringify(instances);
      directory.putInstances(first.name, instances);
    }
    onChange();
  }

  function drain(replica: Replica): void {
    if (drains.has(replica) || leaving.has(replica)) {
      return;
    }
    if (replica.instance() === undefined) {
      leave(replica);
      return;
    }
    drains.set(
      replica,
      setTimeout(() => leave(replica), drainMs),
    );
    replica.drain();
  }

  function leave(replica: Replica): void {
    clearTimeout(drains.get(replica));
    drains.delete(replica);
    if (!leaving.has(replica)) {
      const gone = replica.stop().then(() => {
        leaving.delete(replica);
        earlier = earlier.filter((other) => other !== replica);
        changed();
      });
      leaving.set(replica, gone);
    }
  }

  function message(): string {
    if (refusal !== undefined) {
      return refusal;
    }
    const ready = wanted.filter(isReady).length;
    if (ready === wanted.length) {
      return '';
    }
    const reason = wanted.map((replica) => replica.status()).find(({ state, lastError }) => state !== 'ready' && lastError !== undefined);
    const serving = earlier.some(isReady) ? ' (the previous processes go on serving)' : '';
    return `${ready} of ${wanted.length} ready${serving}${reason === undefined ? '' : `: ${reason.lastError}`}`;
  }

  update(first);
  return {
    update,
    status() {
      const replicas = [...wanted, ...earlier];
      const instances = replicas.map((replica) => replica.status());
      const ready = instances.filter(({ state }) => state === 'ready').length;
      const image = declared.spec.image?.text ?? '';
      const updated = wanted.filter(isReady).length;
      return { name: first.name, image, desired: declared.spec.replicas, ready, updated, instances, message: message() };
    },
    restart() {
      if (running === undefined || stopped) {
        return false;
      }
      log.info({ backend: first.name }, 'backend restarted');
      replaceAll();
      fillUp(running);
      changed();
      return true;
    },
    settled: () => refusal !== undefined || wanted.every((replica) => replica.settled()),
    async stop() {
      stopped = true;
      directory.removeBackend(first.name);
      for (const timer of drains.values()) {
        clearTimeout(timer);
      }
      await Promise.all([...wanted, ...earlier].map((replica) => replica.stop()));
      await Promise.all([...logs.values()].map((file) => file.close()));
    },
  };
}

function isReady(replica: Replica): boolean {
  return replica.instance()?.state === 'ready';
}
