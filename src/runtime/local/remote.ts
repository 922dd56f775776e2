// One declared backend that runs elsewhere (`url:`): where its name points to now, and whether it answers.

import { createHash } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { BackendResource } from '../../config/resources.ts';
import type { InstanceId } from '../../core/ids.ts';
import type { DirectoryWriter, Instance } from '../../directory/snapshot.ts';
import { toPolicy } from '../policy.ts';
import type { LocalBackend } from './backend.ts';
import { type HealthTiming, watchHealth } from './health.ts';
import { createProbe, type ProbeResult } from './probe.ts';

/** How often the name is looked up again. */
const RESOLVE_INTERVAL_MS = 30_000;
const RESOLVE_RETRY_MS = 2000;
const RESOLVE_TIMEOUT_MS = 5000;

/** Gives the addresses of a host name. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/**
 * Watches one remote server. Its instance keeps its id while URL and credentials stay the same, also across restarts of the gateway:
 * its sessions live elsewhere.
 */
export function createRemoteBackend(
  first: BackendResource,
  options: {
    directory: DirectoryWriter;
    log: Logger;
    healthTiming: HealthTiming;
    onChange: () => void;
    resolve?: Resolve;
    resolveIntervalMs?: number;
  },
): LocalBackend {
  const { directory, log, healthTiming, onChange, resolve = resolveName, resolveIntervalMs = RESOLVE_INTERVAL_MS } = options;
  let declared = first;
  let policy = '';
  let life = new AbortController();
  let url = new URL(first.spec.url ?? '');
  let identity = '';
  let host: string | undefined;
  let state: Instance['state'] = 'starting';
  let since = Date.now();
  let lastError: string | undefined;
  let judged = false;

  function update(resource: BackendResource): void {
    declared = resource;
    const nextPolicy = toPolicy(resource);
    if (JSON.stringify(nextPolicy) !== policy) {
      policy = JSON.stringify(nextPolicy);
      directory.putBackend(nextPolicy);
    }
    const nextIdentity = JSON.stringify([resource.spec.url, resource.spec.upstreamAuth]);
    if (nextIdentity !== identity) {
      identity = nextIdentity;
      life.abort();
      life = new AbortController();
      url = new URL(resource.spec.url ?? '');
      host = undefined;
      judged = false;
      state = 'starting';
      since = Date.now();
      publish();
      void keepResolving(life.signal);
      void keepAsking(life.signal);
    }
  }

  const port = (): number => Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  const hostname = (): string => url.hostname.replace(/^\[|\]$/g, '');
  const address = (): string | undefined => (host === undefined ? undefined : `${isIPv6(host) ? `[${host}]` : host}:${port()}`);
  const instanceId = (): InstanceId => createHash('sha256').update(identity).digest('hex').slice(0, 32) as InstanceId;

  function publish(): void {
    const at = address();
    directory.putInstances(first.name, at === undefined ? [] : [{ id: instanceId(), address: at, state }]);
    onChange();
  }

  async function keepResolving(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const addresses = await within(resolve(hostname()), RESOLVE_TIMEOUT_MS).catch((error: NodeJS.ErrnoException): readonly string[] => {
        lastError = `${hostname()} cannot be resolved: ${error.code ?? error.message}`;
        return [];
      });
      if (signal.aborted) {
        return;
      }
      // The address in use stays while it is still one of the answers: names with several addresses answer in changing order.
      const next = host !== undefined && (addresses.length === 0 || addresses.includes(host)) ? host : addresses[0];
      if (next !== host) {
        log.info({ backend: first.name, address: next }, 'remote address');
        host = next;
        publish();
      }
      judged ||= addresses.length === 0;
      onChange();
      await delay(addresses.length === 0 ? RESOLVE_RETRY_MS : resolveIntervalMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async function keepAsking(signal: AbortSignal): Promise<void> {
    const probe = createProbe();
    const ask = (): Promise<ProbeResult> => {
      if (host === undefined) {
        return Promise.resolve({ ok: false, reason: lastError ?? 'not resolved yet' });
      }
      const remote = { authority: url.host, hostname: hostname(), tls: url.protocol === 'https:' };
      return probe({ healthCheck: declared.spec.healthCheck, path: url.pathname }, { host, port: port(), remote }, signal);
    };
    const onResult = ({ ready, result }: { ready: boolean; result: ProbeResult }): void => {
      judged ||= host !== undefined;
      lastError = result.ok ? undefined : result.hint === undefined ? result.reason : `${result.reason}; ${result.hint}`;
      const next = ready ? 'ready' : 'starting';
      if (next !== state) {
        log.info({ backend: first.name, state: next, ...(result.ok ? {} : { reason: result.reason }) }, 'remote state');
        state = next;
        since = Date.now();
        publish();
      }
      onChange();
    };
    await watchHealth({
      probe: ask,
      onResult,
      startTimeoutMs: () => undefined,
      signal,
      timing: { ...healthTiming, startingMs: healthTiming.unwellMs },
    });
  }

  update(first);
  return {
    update,
    status() {
      const ready = state === 'ready' && host !== undefined ? 1 : 0;
      const instance = { id: instanceId(), pid: undefined, address: address(), state, restarts: 0, since, lastError, log: '' };
      const message = ready === 1 ? '' : (lastError ?? 'not asked yet');
      return { name: first.name, image: declared.spec.url ?? '', desired: 1, ready, instances: [instance], message };
    },
    settled: () => judged,
    async stop() {
      life.abort();
      directory.removeBackend(first.name);
    },
  };
}

async function resolveName(hostname: string): Promise<readonly string[]> {
  return (await lookup(hostname, { all: true })).map(({ address }) => address);
}

async function within<T>(work: Promise<T>, limitMs: number): Promise<T> {
  const limit = new AbortController();
  const late = delay(limitMs, undefined, { signal: limit.signal }).then(() => {
    throw new Error(`no answer within ${limitMs} ms`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    limit.abort();
    late.catch(() => undefined);
  }
}
