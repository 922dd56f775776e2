// Who of several controllers may write: the one that holds the Lease, and has been able to say so lately.

import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { limited } from '../../../core/within.ts';
import type { KubeApi } from '../api.ts';
import type { KubeObject } from '../objects.ts';
import { KubeError } from '../transport.ts';
import { LEASES } from './kinds.ts';

/** Times of coordination.k8s.io leases, as client-go has them. */
export interface LeaseTiming {
  /** A lease that nobody has renewed for so long is free. */
  readonly leaseMs: number;
  /** Whoever could not renew for so long stops: well before the others may begin. */
  readonly deadlineMs: number;
  readonly renewMs: number;
  /** How often those who wait look. */
  readonly pollMs: number;
}
const TIMING: LeaseTiming = { leaseMs: 15_000, deadlineMs: 10_000, renewMs: 2_000, pollMs: 1_000 };
/** One attempt; a connection that has died must not cost the lease. */
const ATTEMPT_MS = 3_000;
const RELEASE_MS = 3_000;
/** After somebody has changed something else about the lease. */
const CHANGED_MS = 50;

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}
type Lease = KubeObject & { readonly spec?: LeaseSpec };

/** What a leader may do, and for how long. */
export interface Leadership {
  /** Fires before another one can be the leader. */
  readonly signal: AbortSignal;
  /** Asked right before each write: a process that was stopped for a while hears of the signal too late. */
  readonly holds: () => boolean;
}

export interface LeaderOptions {
  readonly api: Pick<KubeApi, 'get' | 'create' | 'replace'>;
  readonly namespace: string;
  /** Of the Lease. */
  readonly name: string;
  /** The pod's name: what people see as the holder. */
  readonly identity: string;
  /** The work of a leader. When `signal` fires it ends soon; ending earlier gives the lease away. */
  readonly lead: (leadership: Leadership) => Promise<void>;
  readonly log: Logger;
  readonly timing?: LeaseTiming;
  readonly clock?: LeaseClock;
}

/** Milliseconds that never go back; `sleep` rejects when the signal fires. */
export interface LeaseClock {
  readonly now: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}
const CLOCK: LeaseClock = {
  now: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, { signal }),
};

export interface Leader {
  readonly isLeader: () => boolean;
  /** As the Lease says; undefined when nobody is known. */
  readonly holder: () => string | undefined;
  /** Ends the work, then gives the lease away: the next one begins at once. */
  close(): Promise<void>;
}

/** Takes part in the election until it is closed. Clocks of other machines do not matter: only how long a Lease has not changed here. */
export function takePart(options: LeaderOptions): Leader {
  const { api, namespace, name, lead, log, timing = TIMING, clock = CLOCK } = options;
  const identity = `${options.identity}_${randomBytes(4).toString('hex')}`;
  const closing = new AbortController();
  /** The Lease as seen last, and since when it has been the same. */
  let seen: Lease | undefined;
  let seenSince = 0;
  let leading = false;
  /** When the last renewal that succeeded was sent. */
  let renewedAt = 0;

  const look = (lease: Lease | undefined): void => {
    if (seenSince === 0 || JSON.stringify(lease?.spec) !== JSON.stringify(seen?.spec)) seenSince = clock.now();
    seen = lease;
  };

  const isFree = (): boolean => {
    const { holderIdentity = '', leaseDurationSeconds = timing.leaseMs / 1000 } = seen?.spec ?? {};
    return holderIdentity === '' || holderIdentity === identity || clock.now() - seenSince > leaseDurationSeconds * 1000;
  };

  /** Rejects with 409 when somebody else was faster. */
  const write = async (change: LeaseSpec, signal: AbortSignal): Promise<void> => {
    const sentAt = clock.now();
    const spec: LeaseSpec = { ...seen?.spec, ...change, renewTime: microTime() };
    const lease = { metadata: { ...(seen?.metadata ?? { name, namespace }) }, spec };
    const written: Lease = seen ? await api.replace<Lease>(LEASES, lease, signal) : await api.create<Lease>(LEASES, lease, signal);
    look(written);
    renewedAt = sentAt;
  };

  const attempt = (signal: AbortSignal): AbortSignal => limited(signal, Math.min(ATTEMPT_MS, timing.deadlineMs));

  const acquire = async (): Promise<boolean> => {
    look(await api.get<Lease>(LEASES, name, namespace, attempt(closing.signal)));
    if (!isFree()) return false;
    const transitions = (seen?.spec?.leaseTransitions ?? 0) + (seen ? 1 : 0);
    const leaseDurationSeconds = Math.ceil(timing.leaseMs / 1000);
    const mine = { holderIdentity: identity, leaseDurationSeconds, acquireTime: microTime(), leaseTransitions: transitions };
    await write(mine, attempt(closing.signal));
    return true;
  };

  /** Resolves when the lease is lost, or cannot be renewed in time; rejects when `signal` fires. */
  const renew = async (signal: AbortSignal): Promise<void> => {
    let pauseMs = timing.renewMs;
    for (;;) {
      const left = renewedAt + timing.deadlineMs - clock.now();
      if (left <= 0) return;
      await clock.sleep(Math.min(pauseMs, left), signal);
      pauseMs = timing.renewMs;
      try {
        await write({}, attempt(limited(signal, Math.max(1, Math.floor(renewedAt + timing.deadlineMs - clock.now())))));
      } catch (error) {
        signal.throwIfAborted();
        log.warn({ err: error, lease: name }, 'lease not renewed');
        if (!(error instanceof KubeError && (error.code === 409 || error.code === 404))) continue;
        if (!(await isStillMine(signal))) return;
        pauseMs = CHANGED_MS;
      }
    }
  };

  /** Somebody has changed the Lease: perhaps only an annotation. */
  const isStillMine = async (signal: AbortSignal): Promise<boolean> => {
    try {
      look(await api.get<Lease>(LEASES, name, namespace, attempt(signal)));
    } catch {
      return true;
    }
    return seen?.spec?.holderIdentity === identity;
  };

  const holds = (): boolean => leading && clock.now() - renewedAt < timing.deadlineMs;

  const serve = async (): Promise<void> => {
    const ended = new AbortController();
    leading = true;
    log.info({ lease: name, identity }, 'leading');
    const stop = (reason: string): void => ended.abort(new Error(reason));
    const lose = (): void => {
      renewedAt = Number.NEGATIVE_INFINITY;
      stop('the lease is lost');
    };
    const renewing = renew(AbortSignal.any([closing.signal, ended.signal])).then(lose, () => {});
    const onClose = (): void => stop('closed');
    closing.signal.addEventListener('abort', onClose, { once: true });
    try {
      await lead({ signal: ended.signal, holds });
    } catch (error) {
      if (!ended.signal.aborted) log.error({ err: error, lease: name }, 'the leader failed');
    } finally {
      const kept = holds();
      leading = false;
      stop('ended');
      closing.signal.removeEventListener('abort', onClose);
      await renewing;
      log.info({ lease: name, identity }, 'no longer leading');
      if (kept) await release();
    }
  };

  const release = async (): Promise<void> => {
    try {
      await write({ holderIdentity: '', leaseDurationSeconds: 1 }, AbortSignal.timeout(RELEASE_MS));
    } catch (error) {
      log.warn({ err: error, lease: name }, 'lease not released: the others wait until it has lapsed');
    }
  };

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        if (await acquire()) await serve();
      } catch (error) {
        if (closing.signal.aborted) return;
        if (!(error instanceof KubeError && error.code === 409)) log.warn({ err: error, lease: name }, 'lease not reached');
      }
      const pause = timing.pollMs * (0.75 + Math.random() / 2);
      await clock.sleep(pause, closing.signal).catch(() => {});
    }
  };
  const running = run();

  return {
    isLeader: holds,
    holder: () => (seen?.spec?.holderIdentity === '' ? undefined : seen?.spec?.holderIdentity),
    async close() {
      closing.abort(new Error('closed'));
      await running;
    },
  };
}

/** metav1.MicroTime. */
function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z');
}
