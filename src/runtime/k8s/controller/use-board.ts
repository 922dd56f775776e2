// What the gateways say of use: which sessions and calls are on which instance, and when a backend was used last.

/** A gateway that has said nothing for so long serves nothing any more. */
const STALE_MS = 15_000;
/** Gateways report every five seconds: after three rounds each of them has been heard. */
const WARM_MS = 15_000;
const MAX_GATEWAYS = 1_000;

/** What one gateway's pod reports. Times in milliseconds; `calls` and `requests` are its own, `sessions` those of all gateways. */
export interface GatewayUse {
  readonly gateway: string;
  readonly instances: Readonly<Record<string, { readonly sessions: number; readonly calls: number; readonly idleMs: number }>>;
  readonly backends: Readonly<Record<string, { readonly idleMs: number; readonly requests: number }>>;
}

/** Of one instance. `idleMs`: since a call began or ended. */
export interface InstanceUse {
  readonly sessions: number;
  readonly calls: number;
  readonly idleMs: number;
}

/** Of one backend. */
export interface BackendUse {
  /** Since its last request, as far as the present gateways know; Infinity: they know of none. */
  readonly idleMs: number;
  readonly requestsPerSecond: number;
}

export interface UseBoard {
  put(use: GatewayUse): void;
  /** Nobody may conclude from silence before that: whoever has just started has not heard everybody yet. */
  isWarm(): boolean;
  /** Whether any gateway is heard at the moment. */
  isHeard(): boolean;
  /** Whether every gateway that is heard has reported after this moment (of the board's clock). */
  isHeardSince(moment: number): boolean;
  /** Milliseconds of the board's clock. */
  now(): number;
  instance(id: string): InstanceUse;
  sessionsOn(instances: readonly string[]): number;
  backend(name: string): BackendUse;
}

interface Report {
  readonly use: GatewayUse;
  readonly at: number;
  /** Since the report before. */
  readonly spanMs: number;
}

export function createUseBoard(now: () => number = () => performance.now()): UseBoard {
  const startedAt = now();
  const reports = new Map<string, Report>();

  const fresh = (): Report[] => {
    const oldest = now() - STALE_MS;
    for (const [gateway, { at }] of reports) if (at < oldest) reports.delete(gateway);
    return [...reports.values()];
  };

  const instance = (id: string): InstanceUse => {
    let sessions = 0;
    let calls = 0;
    let idleMs = Number.POSITIVE_INFINITY;
    for (const { use, at } of fresh()) {
      const known = use.instances[id];
      if (!known) continue;
      // Each tells the sessions of all, as it has heard last.
      sessions = Math.max(sessions, known.sessions);
      calls += known.calls;
      idleMs = Math.min(idleMs, known.idleMs + now() - at);
    }
    return { sessions, calls, idleMs };
  };

  return {
    put(use) {
      const before = reports.get(use.gateway);
      if (!before && reports.size >= MAX_GATEWAYS) return;
      reports.set(use.gateway, { use, at: now(), spanMs: before ? Math.max(1, now() - before.at) : 5_000 });
    },
    isWarm: () => now() - startedAt >= WARM_MS,
    isHeard: () => fresh().length > 0,
    isHeardSince: (moment) => fresh().every(({ at }) => at >= moment),
    now,
    instance,
    sessionsOn(instances) {
      let total = 0;
      for (const id of instances) total += instance(id).sessions;
      return total;
    },
    backend(name) {
      let idleMs = Number.POSITIVE_INFINITY;
      let requestsPerSecond = 0;
      for (const { use, at, spanMs } of fresh()) {
        const known = use.backends[name];
        if (!known) continue;
        idleMs = Math.min(idleMs, known.idleMs + now() - at);
        requestsPerSecond += (known.requests * 1000) / spanMs;
      }
      return { idleMs, requestsPerSecond };
    },
  };
}
