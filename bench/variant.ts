// What is compared: each variant is a way from the generator to the same upstream processes.

import type { Session, Target } from './mcp-calls.ts';

/** In the order of the table. */
export const VARIANTS = ['direct', 'bare', 'floor', 'gateway', 'policed'] as const;
export type VariantName = (typeof VARIANTS)[number];

export const TITLES: Readonly<Record<VariantName, string>> = {
  direct: 'direct',
  bare: 'bare Envoy',
  floor: 'floor (Envoy + constant Check)',
  gateway: 'gateway (full path)',
  policed: 'OIDC + tool policy + three quotas on Redis',
};

export interface Variant {
  readonly name: VariantName;
  /** Where calls go; with more than one, a session belongs to the one that it names. */
  readonly targets: readonly Target[];
  readonly sessions: readonly Session[];
  /** Processes by role: `envoy`, `sidecar`, `supervisor`, `redis`, `upstream`. */
  readonly pids: Readonly<Record<string, readonly number[]>>;
  /** How often its Redis has executed each command so far. */
  readonly commandCounts?: () => Promise<CommandCounts>;
}

/** By the command's name. */
export type CommandCounts = Readonly<Record<string, number>>;

/** What all variants share. */
export interface BenchSettings {
  /** Worker threads of every Envoy. */
  readonly envoyThreads: number;
  /** Sidecar processes of the floor and of each gateway. */
  readonly workers: number;
}

/** One instance of the upstream, as it announced itself. */
export interface Pod {
  readonly pod: string;
  readonly port: number;
  readonly pid: number;
}
