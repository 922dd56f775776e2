// Every command that a Redis executes, with who sent it: to count what a request costs.

import { Redis } from 'ioredis';
import type { RedisServer } from './redis.ts';
import { waitFor } from './wait-for.ts';

export interface RedisCommand {
  /** In lower case. */
  readonly name: string;
  readonly args: readonly string[];
  /** The client's address. */
  readonly source: string;
}

export interface RedisMonitor {
  /** All that clients sent until now; what scripts did themselves is left out. */
  commands(): Promise<readonly RedisCommand[]>;
  stop(): void;
}

export async function monitorRedis(server: RedisServer): Promise<RedisMonitor> {
  const redis = new Redis(server.url, { disableClientInfo: true });
  const monitor = await redis.monitor();
  const seen: RedisCommand[] = [];
  let marks = 0;
  monitor.on('monitor', (_time: string, [name = '', ...args]: string[], source: string) => {
    if (source !== 'lua') seen.push({ name: name.toLowerCase(), args, source });
  });
  return {
    async commands() {
      marks += 1;
      const mark = `mark ${marks}`;
      await server.ask('echo', mark);
      await waitFor('all commands', () => seen.some(({ args }) => args[0] === mark));
      // The monitor itself and `ask` are no clients of interest.
      return seen.filter(({ name }) => !['echo', 'monitor', 'info', 'auth', 'hello', 'select'].includes(name));
    },
    stop() {
      monitor.disconnect();
      redis.disconnect();
    },
  };
}
