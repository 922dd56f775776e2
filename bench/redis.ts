// The Redis of the policed variant: a real one without persistence, asked over a connection of its own how often it executed what.

import { mkdirSync } from 'node:fs';
import { Redis } from 'ioredis';
import { freePort } from '../test/harness/free-port.ts';
import { provideRedis } from '../test/setup/redis.ts';
import { startProcess } from './child-process.ts';
import type { CommandCounts } from './variant.ts';

const START_TIMEOUT_MS = 20_000;
const ASK_TIMEOUT_MS = 5_000;

export interface BenchRedis {
  readonly url: string;
  readonly pid: number;
  /** Since its start; commands that scripts call are counted too, the questions for these counts are not. */
  commandCounts(): Promise<CommandCounts>;
  /** Counts, while `work` runs, only what clients send: what scripts call is left out. Slows everything down. */
  watch(work: () => Promise<unknown>): Promise<CommandCounts>;
  stop(): Promise<void>;
}

/** Finds or fetches redis-server as the tests do. */
export async function startRedis(folder: string, signal: AbortSignal, progress: (line: string) => void): Promise<BenchRedis> {
  const binary = await provideRedis(progress);
  const port = await freePort();
  mkdirSync(folder, { recursive: true });
  const settings = { port, bind: '127.0.0.1', save: '', appendonly: 'no', dir: folder, loglevel: 'warning', daemonize: 'no' };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const server = startProcess({ name: 'redis-server', command: [binary, ...flags] }, signal);
  const redis = new Redis({ port, host: '127.0.0.1', commandTimeout: ASK_TIMEOUT_MS, disableClientInfo: true, maxRetriesPerRequest: 0 });
  redis.on('error', () => {});
  try {
    const answers = async (): Promise<true | undefined> => ((await redis.ping().catch(() => undefined)) === 'PONG' ? true : undefined);
    await server.until('answering', answers, START_TIMEOUT_MS);
  } catch (error) {
    redis.disconnect();
    await server.stop();
    throw error;
  }

  return {
    url: `redis://127.0.0.1:${port}`,
    pid: server.pid,
    async commandCounts() {
      const text = await redis.info('commandstats');
      const counts = [...text.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].map(([, name, calls]) => [name as string, Number(calls)] as const);
      return Object.fromEntries(counts.filter(([name]) => name !== 'info'));
    },
    async watch(work) {
      const counts: Record<string, number> = {};
      const monitor = await redis.monitor();
      monitor.on('monitor', (_time: string, [name = '']: string[], source: string) => {
        if (source !== 'lua') counts[name.toLowerCase()] = (counts[name.toLowerCase()] ?? 0) + 1;
      });
      try {
        await work();
        // What was executed before it has been told by then.
        await Promise.all([redis.ping(), new Promise((resolve) => setTimeout(resolve, 200))]);
      } finally {
        monitor.disconnect();
      }
      return counts;
    },
    async stop() {
      redis.disconnect();
      await server.stop();
    },
  };
}
