// The session scripts on one connection: registered once, and called by name with the time in front.

import type { Redis } from 'ioredis';
import { HOLD, sessionScripts } from './redis-lua.ts';

export type ScriptName = keyof typeof sessionScripts;

export interface SessionScripts {
  /** @param key one of the keys that change: where a cluster sends the script. */
  run(name: ScriptName, key: string, ...args: readonly (string | number)[]): Promise<unknown>;
  /** Prolongs what `token` holds by so many milliseconds, or frees it (0). False when it was not held any more. */
  hold(key: string, token: string, forMs: number): Promise<boolean>;
}

type Call = (...args: readonly (string | number)[]) => Promise<unknown>;

export function createSessionScripts(redis: Redis, now: () => number): SessionScripts {
  const define = (name: string, lua: string): Call => {
    const command = `session-${name}`;
    redis.defineCommand(command, { lua, numberOfKeys: 1 });
    const commands = redis as unknown as Record<string, Call>;
    return (...args) => (commands[command] as Call).call(redis, ...args);
  };
  const calls = new Map<string, Call>(Object.entries(sessionScripts).map(([name, lua]) => [name, define(name, lua)]));
  const hold = define('hold', HOLD);
  return {
    run: (name, key, ...args) => (calls.get(name) as Call)(key, now(), ...args),
    hold: async (key, token, forMs) => (await hold(key, token, forMs)) === 1,
  };
}
