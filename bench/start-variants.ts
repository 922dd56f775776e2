// Starts what the variants run through, and opens the sessions of each.

import { join } from 'node:path';
import { bareBootstrap } from './bare-envoy.ts';
import { startEnvoy } from './envoy-process.ts';
import { startFloor } from './floor.ts';
import { type Gateway, startGateway } from './gateway.ts';
import type { Generator } from './generator-link.ts';
import type { Session, Target } from './mcp-calls.ts';
import { startPoliced } from './policed.ts';
import type { BenchRedis } from './redis.ts';
import type { BenchSettings, Variant, VariantName } from './variant.ts';

export const SESSIONS = 256;

export interface StartOptions {
  readonly names: readonly VariantName[];
  readonly generator: Generator;
  readonly binary: string;
  /** A short path: sockets lie in it. */
  readonly folder: string;
  readonly dist: string;
  readonly settings: BenchSettings;
  /** Gets what stops each thing that was started, also when a later one fails. */
  readonly stops: (() => Promise<void> | void)[];
  readonly progress: (line: string) => void;
}

export interface StartedVariants {
  readonly variants: readonly Variant[];
  /** Of the policed variant. */
  readonly redis: BenchRedis | undefined;
}

export async function startVariants(options: StartOptions, signal: AbortSignal): Promise<StartedVariants> {
  const { names, generator, binary, folder, dist, settings, stops, progress } = options;
  const variants: Variant[] = [];
  let redis: BenchRedis | undefined;

  const gatewayVariant = async (name: VariantName, { pids, pods }: Gateway, target: Target): Promise<Variant> => {
    const sessions = await generator.open([target], SESSIONS);
    return { name, targets: [target], sessions, pids: { ...pids, upstream: pidsOf(pods) } };
  };

  if (names.some((name) => name !== 'policed')) {
    progress('starting the gateway, whose pods serve all variants but the policed one');
    const gateway = await startGateway({ binary, folder, dist, settings }, signal);
    stops.push(gateway.stop);
    const upstream = pidsOf(gateway.pods);
    const pods = gateway.pods.map(({ port }) => ({ port, path: '/mcp' }));
    const direct = await generator.open(pods, SESSIONS);
    for (const name of names) {
      if (name === 'direct') variants.push({ name, targets: pods, sessions: direct, pids: { upstream } });
      if (name === 'bare') {
        const bare = await startEnvoy(
          { name, binary, folder, threads: settings.envoyThreads, bootstrap: (admin) => bareBootstrap(gateway.pods, admin) },
          signal,
        );
        stops.push(bare.stop);
        const target = { port: bare.port, path: '/mcp' };
        variants.push({ name, targets: [target], sessions: through(direct, target), pids: { envoy: [bare.pid], upstream } });
      }
      if (name === 'floor') {
        const floor = await startFloor({ binary, folder, dist, pods: gateway.pods, settings }, signal);
        stops.push(floor.stop);
        const target = { port: floor.port, path: gateway.path };
        variants.push({ name, targets: [target], sessions: through(direct, target), pids: { ...floor.pids, upstream } });
      }
      if (name === 'gateway') variants.push(await gatewayVariant(name, gateway, { port: gateway.port, path: gateway.path }));
    }
  }

  if (names.includes('policed')) {
    progress('starting the policed gateway, its issuer and its Redis');
    const policed = await startPoliced({ binary, folder: join(folder, 'p'), dist, settings, progress }, signal);
    stops.push(policed.stop);
    redis = policed.redis;
    const variant = await gatewayVariant('policed', policed.gateway, policed.target);
    variants.push({ ...variant, pids: { ...variant.pids, redis: [redis.pid] }, commandCounts: redis.commandCounts });
  }
  return { variants, redis };
}

const pidsOf = (processes: readonly { readonly pid: number }[]): number[] => processes.map(({ pid }) => pid);

/** The same sessions by another way: only the gateway gives them ids of its own. */
function through(sessions: readonly Session[], target: Target): Session[] {
  return sessions.map((session) => ({ ...session, target }));
}
