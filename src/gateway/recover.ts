// Recovery of sessions: finding out whether one is lost, and binding it to a new instance exactly once.

import type { Logger } from 'pino';
import type { InstanceId, SessionKey, UpstreamSessionId } from '../core/ids.ts';
import type { RpcMessage } from '../core/rpc-peek.ts';
import { limited } from '../core/within.ts';
import type { Balancer } from '../directory/balancer.ts';
import type { Directory } from '../directory/directory.ts';
import type { Backend, Instance } from '../directory/snapshot.ts';
import type { Grant } from '../session/session-id.ts';
import type { Binding, SessionRecord, SessionStore } from '../session/store.ts';
import type { TicketCaller } from '../session/ticket.ts';
import { type Parking, parkedAs } from './parking.ts';
import type { Reopener } from './reopen.ts';
import { UpstreamUnreachable } from './upstream.ts';

/** One recovery, including the wait for an instance: after it the client could not be answered in time. */
const RECOVERY_TIMEOUT_MS = 50_000;
/** Instances that are tried in one recovery. */
const MAX_ATTEMPTS = 3;
/**
 * A process that has just died is still in the directory for a moment, and one that restarts behind a URL never leaves it. So long, refused
 * connections are no attempts; the pause between two grows from the first to the last.
 */
const REFUSED_WAIT_MS = 6_000;
const FIRST_PAUSE_MS = 50;
const LAST_PAUSE_MS = 1_000;

export interface LostRequest {
  readonly method: string;
  readonly messages: readonly RpcMessage[];
  readonly backend: Backend;
  readonly grant: Grant;
  readonly caller: TicketCaller;
  readonly authority: string;
  /** The version that the client speaks in this session, from its header. */
  readonly protocolVersion: string | undefined;
  /** The binding that was tried and refused or answered 404; undefined when its instance is known to be gone. */
  readonly tried: { readonly instance: InstanceId; readonly upstreamId: UpstreamSessionId } | undefined;
}

/** Send it here. `same`: the session lives, and the answer that was taken for a loss was about something else. */
export interface Recovered {
  readonly kind: 'bound' | 'same';
  readonly instance: Instance;
  readonly binding: Binding;
}

export type NotRecovered =
  /** It belonged to the lost session and means nothing to a new one: 202. */
  | { readonly kind: 'dropped' }
  /** The DELETE of a lost session: 200. */
  | { readonly kind: 'ended' }
  | { readonly kind: 'not-found' }
  | { readonly kind: 'unavailable'; readonly code: 'no_instance' | 'too_many_waiting' | 'recovery_failed' };

export type RecoverOutcome = Recovered | NotRecovered;

export interface Recovery {
  recover(request: LostRequest): Promise<RecoverOutcome>;
  /** Whether the session answers on its instance now. */
  alive(request: LostRequest, instance: Instance, upstreamId: UpstreamSessionId): Promise<boolean>;
}

export interface RecoveryDependencies {
  readonly store: SessionStore;
  readonly directory: Directory;
  readonly balancer: Balancer;
  readonly parking: Parking;
  readonly reopener: Reopener;
  readonly log: Logger;
}

export function createRecovery({ store, directory, balancer, parking, reopener, log }: RecoveryDependencies): Recovery {
  const pings = new Map<string, Promise<boolean>>();
  const reopenings = new Map<SessionKey, Promise<RecoverOutcome>>();

  const findInstance = (backend: Backend, id: InstanceId): Instance | undefined =>
    directory
      .snapshot()
      .backends.get(backend.name)
      ?.instances.find((instance) => instance.id === id);

  const alive = (request: LostRequest, instance: Instance, upstreamId: UpstreamSessionId): Promise<boolean> =>
    singleFlight(pings, `${instance.id} ${upstreamId}`, () =>
      reopener.alive(
        { backend: request.backend, instance, authority: request.authority, caller: request.caller },
        upstreamId,
        request.protocolVersion,
      ),
    );

  /** The store may have missed the session's beginning: then it cannot be opened again, but it may well be alive. */
  const withoutRecord = async (request: LostRequest): Promise<RecoverOutcome> => {
    const instance = request.tried && findInstance(request.backend, request.tried.instance);
    if (!request.tried || !instance || !(await alive(request, instance, request.tried.upstreamId))) return { kind: 'not-found' };
    return { kind: 'same', instance, binding: { generation: 0, ...request.tried } };
  };

  /** Where the session lives if it does; `lost` with the record that a new session is opened from. */
  const examine = async (request: LostRequest): Promise<RecoverOutcome | { kind: 'lost'; record: SessionRecord }> => {
    const record = await store.read(request.grant.key);
    if (!record) return withoutRecord(request);
    if (record.end) return request.method === 'DELETE' ? { kind: 'ended' } : { kind: 'not-found' };
    const { binding } = record;
    const instance = findInstance(request.backend, binding.instance);
    if (!instance) return { kind: 'lost', record };
    const { tried } = request;
    if (!tried || tried.instance !== binding.instance || tried.upstreamId !== binding.upstreamId)
      return { kind: 'bound', instance, binding };
    if (await alive(request, instance, binding.upstreamId)) return { kind: 'same', instance, binding };
    return { kind: 'lost', record };
  };

  /** Whether there is an instance that has not refused, now or within `pauseMs`. */
  const anotherReady = ({ name }: Backend, refused: ReadonlySet<InstanceId>, pauseMs: number, signal: AbortSignal): Promise<boolean> =>
    directory
      .waitFor(name, ({ id, state }) => state === 'ready' && !refused.has(id), limited(signal, pauseMs))
      .then(() => true)
      .catch(() => false);

  const openElsewhere = async (request: LostRequest, lost: SessionRecord, signal: AbortSignal): Promise<RecoverOutcome> => {
    let record = lost;
    let avoid = request.tried?.instance;
    let failure: unknown;
    const refused = new Set<InstanceId>();
    let pauseMs = FIRST_PAUSE_MS;
    const patientUntil = performance.now() + REFUSED_WAIT_MS;
    let left = MAX_ATTEMPTS;
    while (left > 0) {
      left -= 1;
      const backend = await parking.wait(request.backend.name, request.backend.startTimeoutMs, parkedAs(request.caller), signal);
      if (typeof backend === 'string') return { kind: 'unavailable', code: backend };
      const instance = balancer.pick(without(refused, backend), true, avoid);
      if (!instance) continue;
      const target = { backend, instance, authority: request.authority, caller: request.caller };
      try {
        const { upstreamId, warnings } = await reopener.reopen(target, record, signal);
        const binding = await store.rebind(record.key, record.binding.generation, { instance: instance.id, upstreamId });
        if (binding?.instance === instance.id && binding.upstreamId === upstreamId) {
          log.info({ backend: backend.name, instance: instance.id, generation: binding.generation, warnings }, 'session recovered');
          return { kind: 'bound', instance, binding };
        }
        // While it was being opened, its client ended the session, or the sweep of idle sessions took it.
        void reopener.abandon(target, upstreamId);
        const current = await store.read(record.key);
        if (!current || current.end) return { kind: 'not-found' };
        record = current;
      } catch (error) {
        failure = error;
        avoid = instance.id;
        if (error instanceof UpstreamUnreachable) {
          balancer.suspect(instance.id);
          if (error.how !== 'refused' || performance.now() > patientUntil) continue;
          left += 1;
          if (await anotherReady(backend, refused.add(instance.id), pauseMs, signal)) continue;
          // All of them: they are asked again.
          refused.clear();
          pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS);
        }
      }
    }
    log.warn({ backend: request.backend.name, err: failure }, 'session not recovered');
    return { kind: 'unavailable', code: 'recovery_failed' };
  };

  // Its own deadline, not the request's: a client that goes away must not leave a session half opened for the next one.
  const reopen = async (request: LostRequest, lost: Binding): Promise<RecoverOutcome> => {
    const signal = AbortSignal.timeout(RECOVERY_TIMEOUT_MS);
    const release = await store.lock(request.grant.key, signal);
    try {
      const record = await store.read(request.grant.key);
      if (!record || record.end) return { kind: 'not-found' };
      if (record.binding.generation !== lost.generation) {
        const instance = findInstance(request.backend, record.binding.instance);
        if (instance) return { kind: 'bound', instance, binding: record.binding };
      }
      return await openElsewhere(request, record, signal);
    } finally {
      release();
    }
  };

  const recover = async (request: LostRequest): Promise<RecoverOutcome> => {
    const examined = await examine(request);
    if (examined.kind !== 'lost') return examined;
    const { record } = examined;
    if (request.method === 'DELETE') {
      await store.end(record.key, 'ended');
      return { kind: 'ended' };
    }
    if (request.backend.sessions.recovery === 'fail' || record.initialize === '') return { kind: 'not-found' };
    if (belongsToLostSession(request.messages)) return { kind: 'dropped' };
    return singleFlight(reopenings, record.key, () => reopen(request, record.binding));
  };

  return {
    alive,
    recover: async (request) => {
      try {
        const outcome = await recover(request);
        // This request's own stream is the first one on the new instance: event ids that the client sends next are that one's.
        if (request.method === 'GET' && outcome.kind === 'bound') await store.claimStream(request.grant.key).catch(() => {});
        return outcome;
      } catch (error) {
        log.warn({ backend: request.backend.name, err: error }, 'recovery failed');
        return { kind: 'unavailable', code: 'recovery_failed' };
      }
    },
  };
}

/** Who has refused is not asked again before all have, whatever the balancer thinks of the others. */
function without(refused: ReadonlySet<InstanceId>, backend: Backend): Backend {
  const others = backend.instances.filter(({ id }) => !refused.has(id));
  return others.some(({ state }) => state === 'ready') ? { ...backend, instances: others } : backend;
}

/** Answers to requests of the old session, and notifications about it: a new session would not know what they mean. */
function belongsToLostSession(messages: readonly RpcMessage[]): boolean {
  return messages.length > 0 && messages.every((message) => message.type === 'response' || STALE_NOTIFICATIONS.has(message.method ?? ''));
}

const STALE_NOTIFICATIONS: ReadonlySet<string> = new Set([
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
]);

function singleFlight<Key, T>(running: Map<Key, Promise<T>>, key: Key, start: () => Promise<T>): Promise<T> {
  const known = running.get(key);
  if (known) return known;
  const promise = start().finally(() => running.delete(key));
  running.set(key, promise);
  return promise;
}
