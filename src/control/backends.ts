// Backends as administrators see them: what is declared, how it is doing, who uses it, and where clients reach it.

import { formatDuration } from '../config/durations.ts';
import type { BackendResource } from '../config/resources.ts';
import type { InstanceId } from '../core/ids.ts';
import { within } from '../core/within.ts';
import type { BackendStatus } from '../runtime/local/backend.ts';
import type { InstanceStatus } from '../runtime/local/replica.ts';
import type { AuditEntry } from '../telemetry/audit-line.ts';
import type { CallerName } from './sessions.ts';

/** Somebody waits for the answer, and it is worth something without the numbers. */
const COUNT_TIMEOUT_MS = 2_000;

/**
 * `degraded`: some instances are ready, or the previous ones serve because what is declared now does not. `starting`: none is yet, and nothing has gone wrong. `stopped`: none is wanted. The message
 * says more.
 */
export type BackendHealth = 'healthy' | 'degraded' | 'starting' | 'unhealthy' | 'stopped';

/** One declared backend. */
export interface BackendView {
  readonly name: string;
  /** The image as declared, or the URL of a server that runs elsewhere. */
  readonly image: string;
  readonly health: BackendHealth;
  /** What is under way or wrong, or empty. */
  readonly message: string;
  /** `updated`: those of the ready ones that run what is declared now. */
  readonly replicas: { readonly desired: number; readonly ready: number; readonly updated: number };
  /** Open sessions on its instances. Null: the store cannot be reached. */
  readonly sessions: number | null;
  /** Where clients connect. */
  readonly url: string;
  readonly affinity: BackendResource['spec']['affinity'];
  readonly transport: BackendResource['spec']['transport'];
  /** Null: its creator and administrators; without issuers everyone on this machine. */
  readonly access: BackendResource['spec']['access'] | null;
  /** Durations as in resources. */
  readonly sessionRules: { readonly recovery: string; readonly idleTimeout: string; readonly maxAge: string };
  readonly args: readonly string[];
  /** Names only: what they are set to is never shown. */
  readonly env: readonly { readonly name: string; readonly from: 'value' | 'secret' }[];
  /** `issuer subject` of whoever registered it; null for what files declare. */
  readonly creator: string | null;
  /** Where it is declared. */
  readonly source: string;
  readonly instances: readonly InstanceView[];
}

export interface InstanceView {
  /** Null while no process runs. */
  readonly id: string | null;
  readonly state: InstanceStatus['state'];
  readonly pid: number | null;
  readonly address: string | null;
  readonly restarts: number;
  /** When its present state began, ISO 8601. */
  readonly since: string;
  readonly error: string | null;
  readonly sessions: number | null;
}

export interface BackendControl {
  /** By name. */
  list(): Promise<readonly BackendView[]>;
  /** Undefined: no backend is declared under this name. */
  get(name: string): Promise<BackendView | undefined>;
  /** Where an instance writes what it says; undefined when there is no such instance, or it runs elsewhere. */
  logOf(name: string, instance: number): string | undefined;
  /** Replaces its processes as a change does: sessions are opened again on the new ones, but for backends with `recovery: fail`. `by` is who asks, for the audit log. */
  restart(name: string, by: CallerName): RestartOutcome;
}

/** `elsewhere`: it is a URL. `refused`: it cannot run here, as its message says. */
export type RestartOutcome = 'restarting' | 'unknown' | 'elsewhere' | 'refused';

export interface BackendControlDependencies {
  /** What is declared at the moment. */
  readonly declared: () => readonly BackendResource[];
  readonly status: () => readonly BackendStatus[];
  /** Open sessions by instance; rejects when the store cannot be reached. */
  readonly countByInstance: () => Promise<ReadonlyMap<InstanceId, number>>;
  /** The gateway's own URL, without a slash at its end. */
  readonly baseUrl: () => string;
  readonly restart: (name: string) => RestartOutcome;
  readonly audit: (entry: AuditEntry) => void;
}

type Counts = ReadonlyMap<string, number> | undefined;

export function createBackendControl(dependencies: BackendControlDependencies): BackendControl {
  const { declared, status, countByInstance, baseUrl, restart, audit } = dependencies;
  const count = (): Promise<Counts> => within(countByInstance(), COUNT_TIMEOUT_MS).catch(() => undefined);

  const viewOf = (resource: BackendResource, counts: Counts): BackendView => {
    const { name, spec } = resource;
    const known = status().find((each) => each.name === name);
    const { affinity, transport, access, sessions, args, env } = spec;
    return {
      name,
      image: spec.image?.text ?? spec.url ?? '',
      health: healthOf(known),
      message: known?.message ?? '',
      replicas: { desired: known?.desired ?? spec.replicas, ready: known?.ready ?? 0, updated: known?.updated ?? 0 },
      sessions: counts === undefined ? null : sum(known?.instances ?? [], counts),
      url: `${baseUrl()}/adapters/${name}/mcp`,
      affinity,
      transport,
      access: access ?? null,
      sessionRules: {
        recovery: sessions.recovery,
        idleTimeout: formatDuration(sessions.idleTimeout),
        maxAge: formatDuration(sessions.maxAge),
      },
      args,
      env: env.map((variable) => ({ name: variable.name, from: variable.valueFrom === undefined ? 'value' : 'secret' })),
      creator: resource.creator ?? null,
      source: resource.file,
      instances: (known?.instances ?? []).map((instance) => instanceOf(instance, counts)),
    };
  };

  return {
    async list() {
      const counts = await count();
      return declared()
        .map((resource) => viewOf(resource, counts))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    async get(name) {
      const counts = await count();
      const resource = declared().find((each) => each.name === name);
      return resource && viewOf(resource, counts);
    },
    logOf(name, instance) {
      const log = status().find((each) => each.name === name)?.instances[instance]?.log;
      return log === '' ? undefined : log;
    },
    restart(name, by) {
      const outcome = restart(name);
      audit({ event: 'admin', action: 'backend.restart', target: name, ...by, outcome: outcome === 'restarting' ? 'done' : 'refused' });
      return outcome;
    },
  };
}

function healthOf(known: BackendStatus | undefined): BackendHealth {
  if (!known) return 'starting';
  const { desired, ready, instances, message } = known;
  if (ready > 0) return ready < desired || message !== '' ? 'degraded' : 'healthy';
  // A declaration that cannot run here has a message, and nothing that runs.
  const wrong = instances.length === 0 ? message !== '' : instances.some(({ lastError }) => lastError !== undefined);
  if (wrong) return 'unhealthy';
  return desired === 0 ? 'stopped' : 'starting';
}

function instanceOf({ id, state, pid, address, restarts, since, lastError }: InstanceStatus, counts: Counts): InstanceView {
  return {
    id: id ?? null,
    state,
    pid: pid ?? null,
    address: address ?? null,
    restarts,
    since: new Date(since).toISOString(),
    error: lastError ?? null,
    sessions: counts === undefined ? null : id === undefined ? 0 : (counts.get(id) ?? 0),
  };
}

function sum(instances: readonly InstanceStatus[], counts: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const { id } of instances) if (id !== undefined) total += counts.get(id) ?? 0;
  return total;
}
