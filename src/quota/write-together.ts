// One write for all commands of one turn of the event loop: a system call for each, and the wake-up of Redis, cost more than the command.

import type { Redis } from 'ioredis';

/**
 * To be called before a command is given to the connection: it and all that follow in this turn leave at its end, when everything that
 * has arrived is read. Each stays a command of its own, in the order in which they were given.
 */
export function createWriteTogether(redis: Pick<Redis, 'stream'>): () => void {
  let held: Redis['stream'] | undefined;
  const send = (): void => {
    held?.uncork();
    held = undefined;
  };
  return () => {
    // There is no stream before the first connection; a command is refused then.
    if (held !== undefined || (redis.stream as Redis['stream'] | undefined) === undefined) return;
    held = redis.stream;
    held.cork();
    setImmediate(send);
  };
}
