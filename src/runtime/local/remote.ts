// One declared backend that runs elsewhere (`url:`): where its name points to now, what it is given, and whether it answers.

import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Logger } from 'pino';
import type { BackendResource } from '../../config/resources.ts';
import { rangeOf } from '../../core/address-ranges.ts';
import type { InstanceId } from '../../core/ids.ts';
import type { DirectoryWriter, Instance } from '../../directory/snapshot.ts';
import { toPolicy } from '../policy.ts';
import type { LocalBackend } from './backend.ts';
import type { Environment } from './environment.ts';
import { type HealthTiming, watchHealth } from './health.ts';
import { createProbe, type ProbeResult } from './probe.ts';
import { type Found, type Resolve, watchAddress } from './remote-address.ts';
import { type UpstreamSecret, watchUpstreamSecret } from './upstream-secret.ts';

export interface RemoteOptions {
  readonly home: string;
  readonly environment: Environment;
  readonly directory: DirectoryWriter;
  readonly log: Logger;
  readonly healthTiming: HealthTiming;
  readonly onChange: () => void;
  /** Why this backend may not be at this address (to be read after its host name); undefined when it may. */
  readonly permit?: (address: string, resource: BackendResource) => string | undefined;
  readonly resolve?: Resolve | undefined;
  readonly resolveIntervalMs?: number;
  readonly secretPollMs?: number;
}

/**
 * Watches one remote server. Its instance keeps its id while URL and declared credentials stay the same, also across restarts of the
 * gateway: its sessions live elsewhere. Without its secret or a permitted address it has no instance, so that nothing can be sent there.
 */
export function createRemoteBackend(first: BackendResource, options: RemoteOptions): LocalBackend {
  const { home, environment, directory, log, healthTiming, onChange, permit = () => undefined } = options;
  let declared = first;
  let policy = '';
  let life = new AbortController();
  let asking = new AbortController();
  let url = new URL(first.spec.url ?? '');
  let identity = '';
  let origin: BackendResource['origin'] = 'file';
  let host: string | undefined;
  let secret: UpstreamSecret | undefined;
  let state: Instance['state'] = 'starting';
  let since = Date.now();
  let addressProblem: string | undefined;
  let probeProblem: string | undefined;
  let published: string | undefined;
  let judged = false;

  const port = (): number => Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  const hostname = (): string => url.hostname.replace(/^\[|\]$/g, '');
  const address = (): string | undefined => (host === undefined ? undefined : `${isIPv6(host) ? `[${host}]` : host}:${port()}`);
  const instanceId = (): InstanceId => createHash('sha256').update(identity).digest('hex').slice(0, 32) as InstanceId;
  const value = (): string | undefined => (secret !== undefined && 'value' in secret ? secret.value : undefined);
  const secretProblem = (): string | undefined => (secret !== undefined && 'problem' in secret ? secret.problem : undefined);
  /** Everything is there that a request needs. */
  const usable = (): boolean => host !== undefined && (declared.spec.upstreamAuth === undefined || value() !== undefined);

  function update(resource: BackendResource): void {
    declared = resource;
    const nextIdentity = JSON.stringify([resource.spec.url, resource.spec.upstreamAuth]);
    const { origin: nextOrigin = 'file' } = resource;
    if (nextIdentity === identity && nextOrigin === origin) {
      publish();
      return;
    }
    identity = nextIdentity;
    origin = nextOrigin;
    life.abort();
    life = new AbortController();
    url = new URL(resource.spec.url ?? '');
    host = undefined;
    secret = undefined;
    addressProblem = undefined;
    judged = false;
    enter('starting');
    publish();
    void watchAddress({
      ...{ hostname: hostname(), refusal, onResult: takeAddress, signal: life.signal },
      ...{ resolve: options.resolve, intervalMs: options.resolveIntervalMs },
    });
    watchSecret();
    askAgain();
  }

  function refusal(candidate: string): string | undefined {
    // The schema has seen that the name is this machine's; whether it is, its address says.
    if (declared.spec.upstreamAuth !== undefined && url.protocol === 'http:' && rangeOf(candidate) !== 'loopback') {
      return 'is not this machine: the secret of upstreamAuth goes elsewhere by https:// only';
    }
    return permit(candidate, declared);
  }

  function takeAddress({ address: next, problem, refused }: Found): void {
    if (next !== host || (problem !== undefined && problem !== addressProblem)) {
      log.info({ backend: first.name, address: next, reason: problem, refused }, 'remote address');
    }
    addressProblem = problem;
    judged ||= problem !== undefined;
    if (next !== host) {
      host = next;
      restartWhenUsable();
    }
    onChange();
  }

  function watchSecret(): void {
    const { upstreamAuth } = declared.spec;
    if (upstreamAuth === undefined) {
      return;
    }
    // Whoever may register a server could have any variable of the gateway sent to it.
    if (origin === 'api' && upstreamAuth.valueFrom.env !== undefined) {
      takeSecret({ problem: 'upstreamAuth.valueFrom.env is for resource files only' });
      return;
    }
    const { signal } = life;
    void watchUpstreamSecret({ auth: upstreamAuth, home, environment, onChange: takeSecret, signal, pollMs: options.secretPollMs });
  }

  function takeSecret(next: UpstreamSecret): void {
    secret = next;
    if ('problem' in next) {
      log.warn({ backend: first.name, reason: next.problem }, 'remote secret');
      judged = true;
    } else {
      log.info({ backend: first.name }, 'remote secret read');
    }
    restartWhenUsable();
    onChange();
  }

  /** What was refused or impossible before may work now: at once, not after a pause. */
  function restartWhenUsable(): void {
    if (!usable()) {
      enter('starting');
    }
    publish();
    if (state !== 'ready') {
      askAgain();
    }
  }

  /** The policy first when there is something to send to, last when there is not: no moment has an instance without its secret. */
  function publish(): void {
    const at = usable() ? address() : undefined;
    const instances: Instance[] = at === undefined ? [] : [{ id: instanceId(), address: at, state }];
    const nextPolicy = toPolicy(declared, value());
    const next = JSON.stringify(instances);
    if (instances.length === 0 && published !== undefined && next !== published) {
      directory.putInstances(first.name, instances);
    }
    if (JSON.stringify(nextPolicy) !== policy) {
      policy = JSON.stringify(nextPolicy);
      directory.putBackend(nextPolicy);
    }
    if (instances.length > 0 && next !== published) {
      directory.putInstances(first.name, instances);
    }
    published = next;
    onChange();
  }

  function enter(next: Instance['state']): void {
    if (next !== state) {
      state = next;
      since = Date.now();
    }
  }

  function askAgain(): void {
    asking.abort();
    asking = new AbortController();
    probeProblem = undefined;
    if (usable()) {
      void keepAsking(asking.signal);
    }
  }

  async function keepAsking(signal: AbortSignal): Promise<void> {
    const probe = createProbe();
    const ask = (): Promise<ProbeResult> => {
      const { path, remote } = toPolicy(declared, value());
      const target = { host: host ?? '', port: port(), remote: remote && { ...remote, hostname: hostname() } };
      return probe({ healthCheck: declared.spec.healthCheck, path }, target, signal);
    };
    const onResult = ({ ready, result }: { ready: boolean; result: ProbeResult }): void => {
      judged = true;
      probeProblem = result.ok ? undefined : result.hint === undefined ? result.reason : `${result.reason}; ${result.hint}`;
      const next = ready ? 'ready' : 'starting';
      if (next !== state) {
        log.info({ backend: first.name, state: next, ...(result.ok ? {} : { reason: result.reason }) }, 'remote state');
        enter(next);
        publish();
      }
      onChange();
    };
    await watchHealth({
      ...{ probe: ask, onResult, startTimeoutMs: () => undefined, signal },
      timing: { ...healthTiming, startingMs: healthTiming.unwellMs },
    });
  }

  update(first);
  return {
    update,
    status() {
      const ready = state === 'ready' && usable() ? 1 : 0;
      const lastError = secretProblem() ?? addressProblem ?? probeProblem;
      const instance = { id: instanceId(), pid: undefined, address: address(), state, restarts: 0, since, lastError, log: '' };
      const message = ready === 1 ? '' : (lastError ?? 'not asked yet');
      return { name: first.name, image: declared.spec.url ?? '', desired: 1, ready, updated: ready, instances: [instance], message };
    },
    // Somebody else runs it.
    restart: () => false,
    settled: () => judged,
    async stop() {
      life.abort();
      asking.abort();
      directory.removeBackend(first.name);
    },
  };
}
