// A backend as the control plane shows it: what is declared, how it is doing, who uses it, and where clients reach it.

import { formatDuration } from '../config/durations.ts';
import { CREATED_AT, DESCRIPTION, UPDATED_AT } from '../config/resource-document.ts';
import type { BackendResource } from '../config/resources.ts';
import type { BackendStatus } from '../runtime/local/backend.ts';
import type { InstanceStatus } from '../runtime/local/replica.ts';
import { type Registered, revisionOf } from './registry.ts';

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
  readonly description: string;
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
  readonly port: number;
  readonly path: string;
  /** Null: `GET /healthz`. */
  readonly healthCheck: BackendResource['spec']['healthCheck'] | null;
  /** Null: its creator and administrators; without issuers everyone on this machine. */
  readonly access: BackendResource['spec']['access'] | null;
  /** Durations as in resources. */
  readonly sessionRules: { readonly recovery: string; readonly idleTimeout: string; readonly maxAge: string };
  readonly scaling: Omit<BackendResource['spec']['scaling'], 'toZeroAfter' | 'startTimeout'> & {
    readonly toZeroAfter?: string;
    readonly startTimeout: string;
  };
  readonly resources: BackendResource['spec']['resources'] | null;
  readonly storage: BackendResource['spec']['storage'] | null;
  readonly args: readonly string[];
  /** Names only: what they are set to is never shown. */
  readonly env: readonly { readonly name: string; readonly from: 'value' | 'secret' }[];
  readonly trustToolHints: boolean;
  /** Which header carries which secret; never what it is. */
  readonly upstreamAuth: BackendResource['spec']['upstreamAuth'] | null;
  /** `issuer subject` of whoever registered it; null for what files declare. */
  readonly creator: string | null;
  /** ISO 8601; null for what files declare. */
  readonly createdAt: string | null;
  readonly lastUpdatedAt: string | null;
  /** Its file, or `api`. */
  readonly source: string;
  /** Another one whenever the declaration is another one. */
  readonly revision: string;
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

/** Open sessions by instance; undefined: nobody knows. */
export type Counts = ReadonlyMap<string, number> | undefined;

export interface ViewSources {
  /** What the runtime says of it. */
  readonly known: BackendStatus | undefined;
  readonly counts: Counts;
  /** For what was declared by API. */
  readonly registered: Registered | undefined;
  /** The gateway's own URL, without a slash at its end. */
  readonly baseUrl: string;
}

export function viewOf(resource: BackendResource, { known, counts, registered, baseUrl }: ViewSources): BackendView {
  const { name, spec } = resource;
  const { affinity, transport, port, path, healthCheck, access, sessions, scaling, args, env, trustToolHints, upstreamAuth } = spec;
  const { toZeroAfter, startTimeout, ...growth } = scaling;
  const annotations = registered?.document.metadata.annotations;
  return {
    name,
    image: spec.image?.text ?? spec.url ?? '',
    description: annotations?.[DESCRIPTION] ?? '',
    health: healthOf(known),
    message: known?.message ?? '',
    replicas: { desired: known?.desired ?? spec.replicas, ready: known?.ready ?? 0, updated: known?.updated ?? 0 },
    sessions: counts === undefined ? null : sum(known?.instances ?? [], counts),
    url: `${baseUrl}/adapters/${name}/mcp`,
    affinity,
    transport,
    port,
    path,
    healthCheck: healthCheck ?? null,
    access: access ?? null,
    sessionRules: {
      recovery: sessions.recovery,
      idleTimeout: formatDuration(sessions.idleTimeout),
      maxAge: formatDuration(sessions.maxAge),
    },
    scaling: {
      ...growth,
      ...(toZeroAfter === undefined ? {} : { toZeroAfter: formatDuration(toZeroAfter) }),
      startTimeout: formatDuration(startTimeout),
    },
    resources: spec.resources ?? null,
    storage: spec.storage ?? null,
    args,
    env: env.map((variable) => ({ name: variable.name, from: variable.valueFrom === undefined ? 'value' : 'secret' })),
    trustToolHints,
    upstreamAuth: upstreamAuth ?? null,
    creator: resource.creator ?? null,
    createdAt: annotations?.[CREATED_AT] ?? null,
    lastUpdatedAt: annotations?.[UPDATED_AT] ?? null,
    source: resource.origin === 'api' ? 'api' : resource.file,
    revision: registered?.revision ?? revisionOf([resource.name, resource.spec]),
    instances: (known?.instances ?? []).map((instance) => instanceOf(instance, counts)),
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
